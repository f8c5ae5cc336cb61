import { GUEST_STYLE, type GuestStyle } from '../../engine/kernels/guest-kernels.ts';
import { compileKernels, instantiateKernels, type Kernels } from '../../engine/kernels/index.ts';
import { DIRTY_LOG_ADDRESS, PAGE_BYTES } from '../../engine/memory/layout.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import { bootPage, type GuestIdentity } from './boot-page.ts';
import { diagnoseBoot, diagnoseLedger, diagnosePage, GuestFault } from './diagnosis.ts';
import type { DirtyMarker } from './dirty-marker.ts';
import type { GuestMap } from './guest-map.ts';

/** Kernels for every segment, for one thread. */
export function segmentKernels(memory: GuestMemory): readonly Kernels[] {
  const module = compileKernels();
  return memory.segments.map((segment) => instantiateKernels(segment, module));
}

export type GuestPagesOptions = {
  readonly memory: GuestMemory;
  readonly kernels: readonly Kernels[];
  readonly map: GuestMap;
  readonly identity: GuestIdentity;
  readonly marker: DirtyMarker;
};

/** Reads, checks and writes the guest's pages for one vCPU. Whatever is found wrong is thrown as a GuestFault. */
export class GuestPages {
  readonly #memory: GuestMemory;
  readonly #kernels: readonly Kernels[];
  readonly #ledger: Kernels;
  readonly #map: GuestMap;
  readonly #identity: GuestIdentity;
  readonly #bodyStyle: GuestStyle;
  readonly #marker: DirtyMarker;

  constructor({ memory, kernels, map, identity, marker }: GuestPagesOptions) {
    const [ledger] = kernels;
    if (ledger === undefined) throw new RangeError('guest memory has no segment');
    this.#memory = memory;
    this.#kernels = kernels;
    this.#ledger = ledger;
    this.#map = map;
    this.#identity = identity;
    this.#marker = marker;
    this.#bodyStyle = identity.fill === 'text' ? GUEST_STYLE.text : GUEST_STYLE.random;
  }

  /**
   * Checks a data page against its ledger word.
   * @param writes Writes that the page's owner ever made; no page can have seen more.
   * @returns how often the page has been written.
   */
  check(page: number, writes: number): number {
    const seq = this.#ledger.guestLedgerLoad(this.#map.ledgerAddressOf(page));
    if (seq <= writes && (seq === 0 ? this.#isUnwritten(page) : this.#isWritten(page, seq))) return seq;
    const { bytes, map, identity } = { bytes: this.#bytes(page), map: this.#map, identity: this.#identity };
    throw new GuestFault(
      diagnosePage({ page, seq, writes, bytes, map, identity, style: fillStyle(map, identity, page) }),
    );
  }

  /** Writes a data page for the `seq`-th time, and its ledger word; only then are both marked dirty. */
  write(page: number, seq: number): void {
    const { segment, address } = this.#map.place(page);
    const kernels = this.#kernels[segment]!;
    const map = this.#map;
    const ledgerPage = map.ledgerPageOf(page);
    kernels.guestPageWrite(address, page, seq, map.ownerOf(page), this.#identity.seed, this.#bodyStyle);
    kernels.guestMarkDirty(DIRTY_LOG_ADDRESS, map.dirtyBitOf(page));
    this.#ledger.guestLedgerStore(map.ledgerAddressOf(page), seq);
    this.#ledger.guestMarkDirty(DIRTY_LOG_ADDRESS, map.dirtyBitOf(ledgerPage));
    if (!this.#marker.isWanted) return;
    this.#marker.mark(page);
    this.#marker.mark(ledgerPage);
  }

  checkBootPage(): void {
    const expected = bootPage(this.#map, this.#identity);
    const bytes = this.#bytes(0);
    if (Buffer.compare(bytes, expected) !== 0) throw new GuestFault(diagnoseBoot(bytes, expected));
  }

  /** Checks that ledger words which belong to no data page are zero. */
  checkUnusedLedger(): void {
    for (const { address, bytes } of this.#map.unusedLedger()) {
      if (this.#ledger.guestIsZero(address, bytes) === 1) continue;
      const words = new Uint8Array(this.#memory.segments[0]!.buffer, address, bytes);
      const offset = address - this.#map.addressOf(0) + words.findIndex((byte) => byte !== 0);
      throw new GuestFault(diagnoseLedger(offset));
    }
  }

  /** Sum of the ledger words of a vCPU's pages. */
  ledgerSum(vcpu: number): number {
    const first = this.#map.ledgerAddressOf(this.#map.ownedPage(vcpu, 0));
    return this.#ledger.guestLedgerSum(first, this.#map.vcpus, this.#map.ownedPages(vcpu));
  }

  /** Writes the boot page: what a guest does first. */
  writeBootPage(): void {
    this.#bytes(0).set(bootPage(this.#map, this.#identity));
    this.#ledger.guestMarkDirty(DIRTY_LOG_ADDRESS, 0);
    this.#marker.mark(0);
  }

  /** Gives a data page the content that it has before its first write. RAM starts as zeros. */
  fill(page: number): void {
    const style = fillStyle(this.#map, this.#identity, page);
    if (style === null) return;
    const { segment, address } = this.#map.place(page);
    this.#kernels[segment]!.guestFillWrite(address, page, this.#identity.seed, style);
    this.#kernels[segment]!.guestMarkDirty(DIRTY_LOG_ADDRESS, this.#map.dirtyBitOf(page));
    this.#marker.mark(page);
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

/** What a data page holds before its first write; null is zeros. */
function fillStyle(map: GuestMap, { fill }: GuestIdentity, page: number): GuestStyle | null {
  if (fill === 'text') return GUEST_STYLE.text;
  if (fill === 'random') return GUEST_STYLE.random;
  return fill === 'quarter' && page >= map.pages * 0.75 ? GUEST_STYLE.random : null;
}
