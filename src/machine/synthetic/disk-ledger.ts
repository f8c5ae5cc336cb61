import type { Kernels } from '../../engine/kernels/kernels.ts';
import { PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import type { DeviceBody } from './device-bodies.ts';
import type { GuestMap } from './guest-map.ts';
import type { PageGate } from './guest-pages.ts';
import { GuestFault } from './page-diagnosis.ts';

/** Most blocks of a disk that the guest uses: the ledger is one page of u64. */
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

/** State of the guest's disk in its device, beside the ledger in RAM. */
export type DiskRegisters = {
  /** False: the guest has not yet formatted or taken over a disk, and the ledger is empty. */
  isReady: boolean;
  identity: bigint;
  /** Number of guest starts with this disk. */
  boots: number;
  /** Number of the newest write that was begun. */
  sequence: number;
  /** Sum of the ledger's entries, so that an old ledger is detected. */
  ledgerSum: number;
  /** Block of the write `sequence` if its outcome is not yet known; null: all writes are on the disk. */
  pendingBlock: number | null;
  writes: number;
  checks: number;
};

/** Reads the registers. @throws RangeError if the body, which may come from outside, is invalid. */
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
    // A write to a disk that is not ready is repeated.
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

export type DiskLedgerOptions = {
  readonly memory: GuestMemory;
  /** Of the first segment. */
  readonly kernels: Kernels;
  readonly map: GuestMap;
  readonly gate: PageGate;
};

/** The page of RAM with the write number of every block of the guest's disk; 0: never written. */
export class DiskLedger {
  readonly #entries: BigUint64Array;
  readonly #kernels: Kernels;
  readonly #map: GuestMap;
  readonly #gate: PageGate;

  constructor({ memory, kernels, map, gate }: DiskLedgerOptions) {
    const [segment] = memory.segments;
    if (segment === undefined) throw new RangeError('guest memory has no segment');
    this.#entries = new BigUint64Array(segment.buffer, map.addressOf(map.diskLedgerPage), DISK_BLOCKS_MAX);
    this.#kernels = kernels;
    this.#map = map;
    this.#gate = gate;
  }

  sequenceOf(block: number): number {
    this.#gate.beforeRead(this.#map.diskLedgerPage);
    return Number(this.#entries[block]);
  }

  /** Highest sequence of the blocks from `first` on. */
  highest(first = 0): number {
    this.#gate.beforeRead(this.#map.diskLedgerPage);
    return Number(this.#entries.subarray(first).reduce((most, entry) => (entry > most ? entry : most), 0n));
  }

  /** @returns the increase of the sum of all entries. A new sum over all entries would hide damage in other entries. */
  store(block: number, sequence: number): number {
    const growth = sequence - this.sequenceOf(block);
    this.#gate.beforeWrite(this.#map.diskLedgerPage);
    this.#entries[block] = BigInt(sequence);
    this.#gate.afterWrite(this.#map.diskLedgerPage);
    return growth;
  }

  /** Replaces the ledger; blocks behind the end of `sequences` were never written. @returns the sum of all entries. */
  replace(sequences: readonly number[]): number {
    this.#gate.beforeWrite(this.#map.diskLedgerPage);
    this.#entries.fill(0n);
    sequences.forEach((sequence, block) => {
      this.#entries[block] = BigInt(sequence);
    });
    this.#gate.afterWrite(this.#map.diskLedgerPage);
    return this.#sum();
  }

  /**
   * Compares the ledger with the registers, which migrate separately from RAM.
   * @throws GuestFault if they do not belong together.
   */
  check({ ledgerSum }: DiskRegisters): void {
    const sum = this.#sum();
    if (sum === ledgerSum) return;
    const detail = `the entries of the disk's ledger add up to ${sum}; the guest wrote ${ledgerSum}`;
    const address = this.#map.diskLedgerPage * PAGE_BYTES;
    throw new GuestFault({ kind: sum < ledgerSum ? 'stale' : 'corrupt', address, detail });
  }

  #sum(): number {
    this.#gate.beforeRead(this.#map.diskLedgerPage);
    return this.#kernels.guestLedgerSum(this.#map.addressOf(this.#map.diskLedgerPage), 1, DISK_BLOCKS_MAX);
  }
}
