import { DISK_DATA_BYTES, type DiskRequest } from '../../engine/memory/disk-slot.ts';
import type { ConsoleRing } from './device-bodies.ts';
import {
  blockName,
  checkDiskBlock,
  DISK_BLOCK_BYTES,
  type DiskBlockContent,
  diskFault,
  hex,
  newDiskIdentity,
  readDiskBlock,
  scramble,
  writeDiskBlock,
} from './disk-block.ts';
import type { DiskLedger, DiskRegisters } from './disk-ledger.ts';

/** Blocks in one request while the whole disk is read or erased. */
const CHUNK_BLOCKS = DISK_DATA_BYTES / DISK_BLOCK_BYTES;
/** After this many writes the guest flushes its disk and writes the superblock. */
const FLUSH_WRITES = 64;

/** Origin of the guest that uses a disk: its own start, a migration, or a loaded snapshot. */
export type GuestOrigin = 'boot' | 'migration' | 'load';

export type DiskProgramOptions = {
  /** Blocks of the disk that are used: 2 to DISK_BLOCKS_MAX. */
  readonly blocks: number;
  /** Data of requests; it belongs to the guest while no request is in progress. */
  readonly data: Uint8Array;
  readonly registers: DiskRegisters;
  readonly ledger: DiskLedger;
  readonly console: ConsoleRing;
  readonly origin: GuestOrigin;
  /** Seed of the guest; identities of disks are derived from it. */
  readonly seed: number;
};

/** A request, after whose answer `work` is resumed; null: nothing to do until the next round. */
export type DiskStep = DiskRequest | null;

type Superblock = Extract<DiskBlockContent, { kind: 'whole' }>;

/**
 * The guest's work with its disk: `work` yields requests and is resumed after their answers. First it reads the whole
 * disk and decides whether it is the guest's own, an earlier guest's, or foreign. Then each round checks one block
 * against the ledger in RAM and writes it again. The registers are valid at every step, so the guest can be stopped and
 * moved at any of them; only reads and the pending write are repeated. Throws GuestFault if the disk is not as
 * expected.
 */
export class DiskProgram {
  readonly #blocks: number;
  readonly #data: Uint8Array;
  readonly #registers: DiskRegisters;
  readonly #ledger: DiskLedger;
  readonly #console: ConsoleRing;
  readonly #origin: GuestOrigin;
  readonly #seed: number;
  /** True after the whole disk was checked. */
  isChecked = false;

  constructor({ blocks, data, registers, ledger, console, origin, seed }: DiskProgramOptions) {
    this.#blocks = blocks;
    this.#data = data;
    this.#registers = registers;
    this.#ledger = ledger;
    this.#console = console;
    this.#origin = origin;
    this.#seed = seed;
  }

  /** Ends only if the disk contains foreign data, which is not touched. */
  *work(): Generator<DiskStep, void, void> {
    const found = yield* this.#readAll();
    if (this.#registers.isReady && this.#isOwn(found[0])) yield* this.#resume(found);
    else if (this.#isStrange(found)) return this.#console.print('disk: holds other data, which is left alone\n');
    else yield* this.#start(found);
    this.isChecked = true;
    for (;;) {
      yield null;
      yield* this.#round();
    }
  }

  *#readAll(): Generator<DiskStep, DiskBlockContent[], void> {
    const found: DiskBlockContent[] = [];
    while (found.length < this.#blocks) {
      const count = Math.min(CHUNK_BLOCKS, this.#blocks - found.length);
      yield { operation: 'read', offset: found.length * DISK_BLOCK_BYTES, bytes: count * DISK_BLOCK_BYTES };
      for (let index = 0; index < count; index += 1) found.push(this.#block(index));
      this.#registers.checks += count;
    }
    return found;
  }

  #isOwn(first: DiskBlockContent | undefined): boolean {
    if (first?.kind === 'whole' && first.identity === this.#registers.identity && !first.isFormatting) return true;
    // A loaded guest always has its own disk; after a migration the disk may be another one.
    if (this.#origin !== 'load' && first?.kind !== 'torn') return false;
    this.#check(0, first ?? { kind: 'strange' }, false);
    throw diskFault('disk-foreign', `${blockName(0)} is being formatted; the guest knows it as formatted`);
  }

  /** Continues with the known disk: every block must match the ledger. */
  *#resume(found: readonly DiskBlockContent[]): Generator<DiskStep, void, void> {
    for (const [block, content] of found.entries()) this.#check(block, content, true);
    for (let block = found.length; this.#ledger.highest(block) > 0; block += 1) {
      if (this.#ledger.sequenceOf(block) === 0) continue;
      throw diskFault('disk-lost', `${blockName(block)} was written, but the disk ends before it`);
    }
    if (this.#registers.pendingBlock !== null) yield* this.#writePending(this.#registers.pendingBlock);
  }

  /** True for a disk with foreign data. */
  #isStrange(found: readonly DiskBlockContent[]): boolean {
    const [first] = found;
    if (first?.kind === 'whole') return false;
    const isGuests = found.some(({ kind }) => kind === 'whole' || kind === 'torn');
    if (!isGuests) return found.some(({ kind }) => kind === 'strange');
    const what = first?.kind === 'zero' ? 'holds zeros' : 'is broken';
    const kind = first?.kind === 'zero' ? 'disk-lost' : `disk-${first?.kind === 'torn' ? 'torn' : 'corrupt'}`;
    throw diskFault(kind, `${blockName(0)} ${what}, but other blocks hold what a guest wrote`);
  }

  /** Starts with an unknown disk: takes over the disk of an earlier guest, or formats it. */
  *#start(found: readonly DiskBlockContent[]): Generator<DiskStep, void, void> {
    const [first] = found;
    const registers = this.#registers;
    if (first?.kind === 'whole' && !first.isFormatting && !registers.isReady)
      return yield* this.#takeOver(first, found);
    if (registers.isReady) this.#console.print(`disk: another one than ${hex(registers.identity)}\n`);
    registers.isReady = false;
    registers.pendingBlock = null;
    registers.ledgerSum = this.#ledger.replace([]);
    registers.identity = newDiskIdentity(this.#seed, registers.identity);
    registers.boots = 1;
    registers.sequence = 0;
    if (found.some(({ kind }) => kind !== 'zero')) yield* this.#wipe();
    yield* this.#writeFirst([]);
    this.#console.print(`disk: formatted as ${hex(registers.identity)}\n`);
  }

  *#takeOver(first: Superblock, found: readonly DiskBlockContent[]): Generator<DiskStep, void, void> {
    const registers = this.#registers;
    const { identity, boots } = first;
    for (const [block, content] of found.entries()) {
      // The ledger of the earlier guest is lost, so any write of the block is accepted.
      if (content.kind !== 'zero') checkDiskBlock(content, { block, sequence: null, identity, boots: null });
    }
    const sequences = found.map((content) => (content.kind === 'whole' ? content.sequence : 0));
    const highest = Math.max(0, ...sequences.slice(1));
    if (highest < first.highest) {
      const detail = `the newest block of the guest disk holds write ${highest}; write ${first.highest} was flushed`;
      throw diskFault('disk-lost', detail);
    }
    registers.identity = identity;
    registers.boots = boots + 1;
    registers.sequence = Math.max(first.sequence, highest);
    yield* this.#writeFirst(sequences);
    this.#console.print(`disk: start ${registers.boots} with ${hex(identity)}\n`);
  }

  /** Erases the disk. The superblock is marked first, so that a crash leaves a disk that is formatted again. */
  *#wipe(): Generator<DiskStep, void, void> {
    yield* this.#writeSuperblock({ isFormatting: true, highest: 0 });
    for (let block = 1; block < this.#blocks; ) {
      const count = Math.min(CHUNK_BLOCKS, this.#blocks - block);
      this.#data.fill(0);
      yield { operation: 'write', offset: block * DISK_BLOCK_BYTES, bytes: count * DISK_BLOCK_BYTES };
      block += count;
    }
  }

  /** Writes the superblock of this start; the disk is ready afterwards. */
  *#writeFirst(sequences: readonly number[]): Generator<DiskStep, void, void> {
    const highest = Math.max(0, ...sequences.slice(1));
    yield { operation: 'flush', offset: 0, bytes: 0 };
    yield* this.#writeSuperblock({ isFormatting: false, highest });
    const registers = this.#registers;
    registers.ledgerSum = this.#ledger.replace([registers.sequence, ...sequences.slice(1)]);
    registers.isReady = true;
  }

  *#writeSuperblock(start: {
    readonly isFormatting: boolean;
    readonly highest: number;
  }): Generator<DiskStep, void, void> {
    const registers = this.#registers;
    registers.sequence += 1;
    const { sequence, identity, boots } = registers;
    writeDiskBlock(this.#data, { block: 0, sequence, identity }, { boots, ...start });
    yield { operation: 'write', offset: 0, bytes: DISK_BLOCK_BYTES };
    registers.writes += 1;
  }

  *#round(): Generator<DiskStep, void, void> {
    const { sequence } = this.#registers;
    let block = 0;
    if (sequence % FLUSH_WRITES === 0) {
      yield { operation: 'flush', offset: 0, bytes: 0 };
    } else {
      block = 1 + (scramble(sequence) % (this.#blocks - 1));
      yield { operation: 'read', offset: block * DISK_BLOCK_BYTES, bytes: DISK_BLOCK_BYTES };
      this.#check(block, this.#block(0), false);
      this.#registers.checks += 1;
    }
    this.#registers.sequence += 1;
    this.#registers.pendingBlock = block;
    yield* this.#writePending(block);
  }

  /** Writes the pending block, with the same bytes at each repetition, and then stores it in the ledger. */
  *#writePending(block: number): Generator<DiskStep, void, void> {
    const registers = this.#registers;
    const { sequence, identity, boots } = registers;
    const start = { boots, isFormatting: false, highest: this.#ledger.highest(1) };
    writeDiskBlock(this.#data, { block, sequence, identity }, block === 0 ? start : null);
    yield { operation: 'write', offset: block * DISK_BLOCK_BYTES, bytes: DISK_BLOCK_BYTES };
    registers.ledgerSum += this.#ledger.store(block, sequence);
    registers.pendingBlock = null;
    registers.writes += 1;
  }

  #check(block: number, content: DiskBlockContent, mayBePending: boolean): void {
    const { identity, boots, sequence, pendingBlock } = this.#registers;
    const isDone = mayBePending && block === pendingBlock && content.kind === 'whole' && content.sequence === sequence;
    const expected = isDone ? sequence : this.#ledger.sequenceOf(block);
    checkDiskBlock(content, { block, sequence: expected, identity, boots: block === 0 ? boots : null });
  }

  /** Content of the `index`-th block of the data area. */
  #block(index: number): DiskBlockContent {
    const from = index * DISK_BLOCK_BYTES;
    return readDiskBlock(this.#data.slice(from, from + DISK_BLOCK_BYTES));
  }
}
