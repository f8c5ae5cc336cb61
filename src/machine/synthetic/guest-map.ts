import { PAGE_BYTES, RAM_ADDRESS } from '../../engine/memory/layout.ts';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import { GUEST_FILLS, type GuestFill } from './guest-workload.ts';

const LEDGER_WORD_BYTES = 8;
const WORDS_PER_PAGE = PAGE_BYTES / LEDGER_WORD_BYTES;
const BOOT_PAGES = 1;
/** The ledger follows the boot page. */
export const FIRST_LEDGER_PAGE = BOOT_PAGES;
const DISK_LEDGER_PAGES = 1;

/** Place of a page: index of the segment and address in that segment's memory. */
export type PagePlace = { readonly segment: number; readonly address: number };

/**
 * The layout of the synthetic guest's RAM, in pages of 4 KiB:
 *
 *   page 0                      boot page: parameters of the guest's start
 *   pages 1 to 1 + ledgerPages  ledger: a u64 for every page of RAM, the number of its writes
 *   page 1 + ledgerPages        disk ledger: a u64 for every block of the guest's disk, the number of its last write
 *   the rest                    data pages; assigned to the vCPUs cyclically, so that each page has one writer
 *
 * Ledger entries of pages that are not data pages, and entries behind the last page, stay zero.
 */
export class GuestMap {
  readonly pages: number;
  readonly ledgerPages: number;
  readonly diskLedgerPage: number;
  readonly firstDataPage: number;
  readonly dataPages: number;
  readonly vcpus: number;
  readonly #pagesPerSegment: number;

  /** @throws RangeError if RAM is too small for a data page per vCPU, or its ledger does not fit the first segment. */
  constructor(memory: GuestMemory, vcpus: number) {
    const block = memory.blocks[0];
    const first = block?.extents[0];
    if (block === undefined || first === undefined) throw new RangeError('the synthetic guest has no RAM block');
    this.vcpus = vcpus;
    this.pages = block.bytes / PAGE_BYTES;
    this.ledgerPages = Math.ceil(this.pages / WORDS_PER_PAGE);
    this.diskLedgerPage = BOOT_PAGES + this.ledgerPages;
    this.firstDataPage = this.diskLedgerPage + DISK_LEDGER_PAGES;
    this.dataPages = this.pages - this.firstDataPage;
    this.#pagesPerSegment = first.bytes / PAGE_BYTES;
    if (this.dataPages < vcpus) {
      const needed = (this.firstDataPage + vcpus) * PAGE_BYTES;
      throw new RangeError(`${block.bytes} bytes of RAM are too few for ${vcpus} vCPUs: at least ${needed} are needed`);
    }
    if (this.firstDataPage > this.#pagesPerSegment) {
      throw new RangeError(`${block.bytes} bytes of RAM are too many: their ledger does not fit one segment`);
    }
  }

  segmentOf(page: number): number {
    return Math.floor(page / this.#pagesPerSegment);
  }

  /** Address of the page in its segment's memory. */
  addressOf(page: number): number {
    return RAM_ADDRESS + (page % this.#pagesPerSegment) * PAGE_BYTES;
  }

  place(page: number): PagePlace {
    return { segment: this.segmentOf(page), address: this.addressOf(page) };
  }

  /** Bit of the page in its segment's dirty log at DIRTY_LOG_ADDRESS. */
  dirtyBitOf(page: number): number {
    return page % this.#pagesPerSegment;
  }

  /** Address of the page's ledger word, in the first segment. */
  ledgerAddressOf(page: number): number {
    return RAM_ADDRESS + PAGE_BYTES + page * LEDGER_WORD_BYTES;
  }

  /** The page that the ledger word of `page` lies in; always in the first segment. */
  ledgerPageOf(page: number): number {
    return BOOT_PAGES + Math.floor(page / WORDS_PER_PAGE);
  }

  /** Number of data pages that a vCPU owns among the first `dataPages`. */
  ownedPages(vcpu: number, dataPages = this.dataPages): number {
    return Math.max(0, Math.ceil((dataPages - vcpu) / this.vcpus));
  }

  /** The `index`-th data page that a vCPU owns. */
  ownedPage(vcpu: number, index: number): number {
    return this.firstDataPage + index * this.vcpus + vcpu;
  }

  ownerOf(page: number): number {
    return (page - this.firstDataPage) % this.vcpus;
  }

  /** Number of data pages that a workload with this span writes. */
  spanPages(spanBytes: number): number {
    return Math.min(this.dataPages, Math.floor(spanBytes / PAGE_BYTES));
  }

  /** Ranges of the first segment with ledger entries that stay zero. */
  unusedLedger(): readonly { readonly address: number; readonly bytes: number }[] {
    const end = this.addressOf(BOOT_PAGES) + this.ledgerPages * PAGE_BYTES;
    const behind = this.ledgerAddressOf(this.pages);
    return [
      { address: this.ledgerAddressOf(0), bytes: this.firstDataPage * LEDGER_WORD_BYTES },
      { address: behind, bytes: end - behind },
    ];
  }
}

const MAGIC = 0x766d_6665_7272_7931n;

/** Parameters of a guest's start. They determine the content of all RAM that was never written. */
export type GuestIdentity = { readonly seed: number; readonly fill: GuestFill };

/**
 * Page 0 of a guest, little-endian: magic u64, RAM in bytes u64, vCPUs u32, number of the fill u32, seed u32, then
 * zeros. It never changes, so a different boot page is a fault.
 */
export function bootPage(map: GuestMap, identity: GuestIdentity): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  const view = new DataView(page.buffer);
  view.setBigUint64(0, MAGIC, true);
  view.setBigUint64(8, BigInt(map.pages * PAGE_BYTES), true);
  view.setUint32(16, map.vcpus, true);
  view.setUint32(20, GUEST_FILLS.indexOf(identity.fill) + 1, true);
  view.setUint32(24, identity.seed, true);
  return page;
}
