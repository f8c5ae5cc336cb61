import {
  compileKernels,
  GUEST_STYLE,
  type GuestStyle,
  instantiateKernels,
  type Kernels,
} from '../../engine/kernels/kernels.ts';
import { DIRTY_LOG_ADDRESS, PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import type { DirtyMarker } from './dirty-trace.ts';
import { bootPage, FIRST_LEDGER_PAGE, type GuestIdentity, type GuestMap } from './guest-map.ts';
import { diagnoseBoot, diagnoseLedger, diagnosePage, GuestFault } from './page-diagnosis.ts';

/** Creates the kernels of every segment, for one thread. */
export function segmentKernels(memory: GuestMemory): readonly Kernels[] {
  const module = compileKernels();
  return memory.segments.map((segment) => instantiateKernels(segment, module));
}

export type GuestPagesOptions = {
  readonly memory: GuestMemory;
  readonly kernels: readonly Kernels[];
  readonly map: GuestMap;
  readonly identity: GuestIdentity;
  readonly gate: PageGate;
};

/**
 * Reads, checks and writes the guest's pages for one vCPU, through the page gate. Throws GuestFault for a wrong page.
 */
export class GuestPages {
  readonly #memory: GuestMemory;
  readonly #kernels: readonly Kernels[];
  readonly #ledger: Kernels;
  readonly #map: GuestMap;
  readonly #identity: GuestIdentity;
  readonly #bodyStyle: GuestStyle;
  readonly #gate: PageGate;

  constructor({ memory, kernels, map, identity, gate }: GuestPagesOptions) {
    const [ledger] = kernels;
    if (ledger === undefined) throw new RangeError('guest memory has no segment');
    this.#memory = memory;
    this.#kernels = kernels;
    this.#ledger = ledger;
    this.#map = map;
    this.#identity = identity;
    this.#gate = gate;
    this.#bodyStyle = identity.fill === 'text' ? GUEST_STYLE.text : GUEST_STYLE.random;
  }

  /**
   * Checks a data page against its ledger entry.
   * @param writes number of all writes of the page's owner; no page can have more.
   * @returns the number of writes of the page.
   */
  check(page: number, writes: number): number {
    this.#gate.beforeRead(this.#map.ledgerPageOf(page));
    this.#gate.beforeRead(page);
    const seq = this.#ledger.guestLedgerLoad(this.#map.ledgerAddressOf(page));
    if (seq <= writes && (seq === 0 ? this.#isUnwritten(page) : this.#isWritten(page, seq))) return seq;
    const { bytes, map, identity } = { bytes: this.#bytes(page), map: this.#map, identity: this.#identity };
    throw new GuestFault(
      diagnosePage({ page, seq, writes, bytes, map, identity, style: fillStyle(map, identity, page) }),
    );
  }

  /** Writes a data page for the `seq`-th time, then its ledger entry. */
  write(page: number, seq: number): void {
    const { segment, address } = this.#map.place(page);
    const kernels = this.#kernels[segment]!;
    const map = this.#map;
    const ledgerPage = map.ledgerPageOf(page);
    this.#gate.beforeWrite(page);
    kernels.guestPageWrite(address, page, seq, map.ownerOf(page), this.#identity.seed, this.#bodyStyle);
    this.#gate.afterWrite(page);
    this.#gate.beforeWrite(ledgerPage);
    this.#ledger.guestLedgerStore(map.ledgerAddressOf(page), seq);
    this.#gate.afterWrite(ledgerPage);
  }

  checkBootPage(): void {
    this.#gate.beforeRead(0);
    const expected = bootPage(this.#map, this.#identity);
    const bytes = this.#bytes(0);
    if (Buffer.compare(bytes, expected) !== 0) throw new GuestFault(diagnoseBoot(bytes, expected));
  }

  /** Checks that ledger entries without a data page are zero. */
  checkUnusedLedger(): void {
    this.#beforeReadLedger();
    for (const { address, bytes } of this.#map.unusedLedger()) {
      if (this.#ledger.guestIsZero(address, bytes) === 1) continue;
      const words = new Uint8Array(this.#memory.segments[0]!.buffer, address, bytes);
      const offset = address - this.#map.addressOf(0) + words.findIndex((byte) => byte !== 0);
      throw new GuestFault(diagnoseLedger(offset));
    }
  }

  /** Sum of the ledger entries of a vCPU's pages. */
  ledgerSum(vcpu: number): number {
    this.#beforeReadLedger();
    const first = this.#map.ledgerAddressOf(this.#map.ownedPage(vcpu, 0));
    return this.#ledger.guestLedgerSum(first, this.#map.vcpus, this.#map.ownedPages(vcpu));
  }

  /** Writes the boot page at the start of a guest. */
  writeBootPage(): void {
    this.#gate.beforeWrite(0);
    this.#bytes(0).set(bootPage(this.#map, this.#identity));
    this.#gate.afterWrite(0);
  }

  /** Fills a data page with its content before the first write. RAM starts as zeros. */
  fill(page: number): void {
    const style = fillStyle(this.#map, this.#identity, page);
    if (style === null) return;
    const { segment, address } = this.#map.place(page);
    this.#gate.beforeWrite(page);
    this.#kernels[segment]!.guestFillWrite(address, page, this.#identity.seed, style);
    this.#gate.afterWrite(page);
  }

  #beforeReadLedger(): void {
    for (let page = FIRST_LEDGER_PAGE; page < FIRST_LEDGER_PAGE + this.#map.ledgerPages; page += 1) {
      this.#gate.beforeRead(page);
    }
  }

  #isUnwritten(page: number): boolean {
    const { segment, address } = this.#map.place(page);
    const style = fillStyle(this.#map, this.#identity, page);
    if (style === null) return this.#kernels[segment]!.guestIsZero(address, PAGE_BYTES) === 1;
    return this.#kernels[segment]!.guestFillMatches(address, page, this.#identity.seed, style) === 1;
  }

  #isWritten(page: number, seq: number): boolean {
    const { segment, address } = this.#map.place(page);
    const { seed } = this.#identity;
    const owner = this.#map.ownerOf(page);
    return this.#kernels[segment]!.guestPageMatches(address, page, seq, owner, seed, this.#bodyStyle) === 1;
  }

  #bytes(page: number): Uint8Array {
    const { segment, address } = this.#map.place(page);
    return new Uint8Array(this.#memory.segments[segment]!.buffer, address, PAGE_BYTES);
  }
}

/** Content of a data page before its first write; null: zeros. */
function fillStyle(map: GuestMap, { fill }: GuestIdentity, page: number): GuestStyle | null {
  if (fill === 'text') return GUEST_STYLE.text;
  if (fill === 'random') return GUEST_STYLE.random;
  return fill === 'quarter' && page >= map.pages * 0.75 ? GUEST_STYLE.random : null;
}

/**
 * A vCPU calls the gate around every access to a page of guest RAM. The gate decides what happens before a read or a
 * write, and after a write. Calls are synchronous: a gate that has to wait blocks the thread of the vCPU.
 *
 * The interface has room for these policies:
 *
 * - dirty log: marks the page after a write (DirtyLogGate);
 * - write protection: copies the old content before the first write, for a snapshot of a running guest;
 * - missing pages: requests a page before the first access and waits for it, for postcopy.
 */
export interface PageGate {
  /** Called before the vCPU reads the page. */
  beforeRead(page: number): void;
  /** Called before the vCPU writes the page, or a part of it. */
  beforeWrite(page: number): void;
  /** Called after the vCPU has written the page. */
  afterWrite(page: number): void;
}

export type DirtyLogGateOptions = {
  /** Kernels of every segment. */
  readonly kernels: readonly Kernels[];
  readonly map: GuestMap;
  readonly marker: DirtyMarker;
};

/** The gate of a guest whose RAM is complete and not write-protected: it only marks written pages as dirty. */
export class DirtyLogGate implements PageGate {
  readonly #kernels: readonly Kernels[];
  readonly #map: GuestMap;
  readonly #marker: DirtyMarker;

  constructor({ kernels, map, marker }: DirtyLogGateOptions) {
    this.#kernels = kernels;
    this.#map = map;
    this.#marker = marker;
  }

  beforeRead(): void {}

  beforeWrite(): void {}

  /** The order matters: a thread that takes the dirty bit reads the page after the write. */
  afterWrite(page: number): void {
    this.#kernels[this.#map.segmentOf(page)]!.guestMarkDirty(DIRTY_LOG_ADDRESS, this.#map.dirtyBitOf(page));
    if (this.#marker.isWanted) this.#marker.mark(page);
  }
}
