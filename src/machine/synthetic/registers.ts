import type { DeviceBody } from './device-body.ts';

export const VCPU_FIELDS = [
  { name: 'writes', type: 'uint64', bytes: 8 },
  { name: 'checks', type: 'uint64', bytes: 8 },
  { name: 'cursor', type: 'uint64', bytes: 8 },
  { name: 'sweep', type: 'uint64', bytes: 8 },
  { name: 'random0', type: 'uint32', bytes: 4 },
  { name: 'random1', type: 'uint32', bytes: 4 },
] as const;

/** What a vCPU knows; local to its thread during a slice, in the device's body between slices. */
export type Registers = {
  /** Page writes ever made: the sum of the vCPU's ledger words. */
  writes: number;
  checks: number;
  /** Next page of the `seq` pattern, as an index into the vCPU's pages. */
  cursor: number;
  /** Next item of the sweep. */
  sweep: number;
  random0: number;
  random1: number;
};

/** Things that vCPU 0 looks at in a sweep beside its own pages: boot page, unused ledger, the disk's ledger. */
export const SWEEP_EXTRAS = 3;

export function initialRegisters(seed: number, vcpu: number): Registers {
  return { writes: 0, checks: 0, cursor: 0, sweep: 0, random0: (seed ^ 0x6a09e667) >>> 0, random1: vcpu + 1 };
}

/** @throws RangeError if the body, which may come from outside, is not one of a vCPU that owns `ownedPages`. */
export function readRegisters(body: DeviceBody, ownedPages: number): Registers {
  const registers = {
    writes: body.read('writes'),
    checks: body.read('checks'),
    cursor: body.readBetween('cursor', 0, ownedPages),
    sweep: body.readBetween('sweep', 0, ownedPages + SWEEP_EXTRAS),
    random0: body.read('random0'),
    random1: body.read('random1'),
  };
  // The generator never leaves, nor ever reaches, this state.
  if (registers.random0 === 0 && registers.random1 === 0) {
    throw new RangeError('random0 and random1 of a vCPU are both 0');
  }
  return registers;
}

export function writeRegisters(body: DeviceBody, registers: Registers): void {
  body.write('writes', registers.writes);
  body.write('checks', registers.checks);
  body.write('cursor', registers.cursor);
  body.write('sweep', registers.sweep);
  body.write('random0', registers.random0);
  body.write('random1', registers.random1);
}
