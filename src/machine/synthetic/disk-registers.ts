import type { DeviceBody } from './device-body.ts';

/** Blocks of a disk that the guest uses, at most: the ledger is one page of u64. */
export const DISK_BLOCKS_MAX = 512;

export const DISK_FIELDS = [
  { name: 'sequence', type: 'uint64', bytes: 8 },
  { name: 'ledger-sum', type: 'uint64', bytes: 8 },
  { name: 'writes', type: 'uint64', bytes: 8 },
  { name: 'checks', type: 'uint64', bytes: 8 },
  { name: 'identity-high', type: 'uint32', bytes: 4 },
  { name: 'identity-low', type: 'uint32', bytes: 4 },
  { name: 'boots', type: 'uint32', bytes: 4 },
  { name: 'pending-block', type: 'uint32', bytes: 4 },
  { name: 'pending', type: 'uint8', bytes: 1 },
  { name: 'ready', type: 'uint8', bytes: 1 },
] as const;

/** What the guest knows of its disk, beside the ledger in RAM. */
export type DiskRegisters = {
  /** False: the guest has no disk that it knows, and the ledger is empty. */
  isReady: boolean;
  identity: bigint;
  /** How often a guest was started with this disk. */
  boots: number;
  /** Of the newest write that was ever begun. */
  sequence: number;
  /** Sum of the ledger's words, so that a ledger which came back old is found. */
  ledgerSum: number;
  /** Block of a write that was begun as `sequence` and may or may not be on the disk; null: all of them are. */
  pendingBlock: number | null;
  writes: number;
  checks: number;
};

/** @throws RangeError if the body, which may come from outside, is not one of a guest's disk. */
export function readDiskRegisters(body: DeviceBody): DiskRegisters {
  const isReady = body.readBetween('ready', 0, 1) === 1;
  const hasPending = body.readBetween('pending', 0, 1) === 1;
  const pendingBlock = body.readBetween('pending-block', 0, DISK_BLOCKS_MAX - 1);
  return {
    isReady,
    identity: (BigInt(body.read('identity-high')) << 32n) | BigInt(body.read('identity-low')),
    boots: body.read('boots'),
    sequence: body.read('sequence'),
    ledgerSum: body.read('ledger-sum'),
    // What was under way before the guest knew the disk is begun anew.
    pendingBlock: isReady && hasPending ? pendingBlock : null,
    writes: body.read('writes'),
    checks: body.read('checks'),
  };
}

export function writeDiskRegisters(body: DeviceBody, registers: DiskRegisters): void {
  body.write('sequence', registers.sequence);
  body.write('ledger-sum', registers.ledgerSum);
  body.write('writes', registers.writes);
  body.write('checks', registers.checks);
  body.write('identity-high', Number(registers.identity >> 32n));
  body.write('identity-low', Number(registers.identity & 0xffff_ffffn));
  body.write('boots', registers.boots);
  body.write('pending-block', registers.pendingBlock ?? 0);
  body.write('pending', registers.pendingBlock === null ? 0 : 1);
  body.write('ready', registers.isReady ? 1 : 0);
}
