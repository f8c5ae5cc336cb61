import type { SegmentKernels } from '../memory/guest-memory.ts';
import type { GuestMemory, RamExtent } from '../memory/machine-state.ts';
import type { StreamInput } from './input-buffer.ts';
import type { PageStore } from './page-store.ts';
import type { Staging } from './staging.ts';

/*
 * A page format turns pages into records and records into pages. Source and target choose the same format by the
 * capabilities of the migration (page-formats.ts). The parts around it do not know the form of a record:
 *
 *   PageQueue ── run of pages ──→ PageEncoder ── bytes ──→ Staging      source (ram-sender.ts)
 *   StreamInput ── bytes ──→ PageDecoder ── pages ──→ PageStore         target (ram-section.ts)
 *
 * The section around the records, and the mark that ends them, are the same in all formats. No record may begin with
 * that mark (RAM_FLAG.eos in the low 12 bits of its first 64-bit word), nor be shorter than the mark's 8 bytes.
 */

/** Consecutive pages of one RAM block that lie in one segment of guest memory. */
export type PageRun = {
  /** Index of the RAM block in `GuestMemory.blocks`. */
  readonly block: number;
  readonly extent: RamExtent;
  /** Counted from the start of the segment's RAM, as kernels count pages. */
  readonly firstPage: number;
  /** The page behind the last one. */
  readonly endPage: number;
};

/** Bytes and pages that were put into the stream. */
export type SentPages = { readonly bytes: number; readonly normal: number; readonly zero: number };

/** The same for a run, and the page of the run at which sending goes on; `endPage` or more if the run is finished. */
export type SentRun = SentPages & { readonly nextPage: number };

/** Makes records of guest pages. */
export interface PageEncoder {
  /**
   * Sends pages of `run` that are marked in the migration bitmap: about `bytesMax` bytes, but at least one page if one
   * is marked. A page's mark is cleared before the page is read, so a later write marks it again.
   */
  send(run: PageRun, bytesMax: number): Promise<SentRun>;
}

/** Puts the pages of records into guest memory. */
export interface PageDecoder {
  /** Takes records from the input. @returns false if more bytes are needed. @throws StreamError for a wrong record. */
  decode(): boolean;
  /** The sender has sent everything: the bytes in the input have to suffice. */
  noMore(): void;
  /** RAM is complete. @throws StreamError if the pages that came cannot have been those of this machine. */
  finish(): void;
}

/** What an encoder works with. */
export type EncoderParts = {
  readonly memory: GuestMemory;
  /** One for each segment of `memory`. */
  readonly segments: readonly SegmentKernels[];
  readonly staging: Staging;
  /** Send a page of zeros without its contents. */
  readonly detectZero: boolean;
};

/** One way to write pages. */
export type PageFormat = {
  /** True if migrations with these capabilities use it. */
  readonly isUsedWith: (capabilities: readonly string[]) => boolean;
  readonly encoder: (parts: EncoderParts) => PageEncoder;
  readonly decoder: (store: PageStore, input: StreamInput) => PageDecoder;
};
