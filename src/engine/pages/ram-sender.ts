import { firstPageOf, kernelsOf } from '../memory/guest-memory.ts';
import { PAGE_BYTES } from '../memory/layout.ts';
import type { GuestMemory } from '../memory/machine-state.ts';
import type { PageEncoder, PageFormat, SentPages } from './page-format.ts';
import { PageQueue } from './page-queue.ts';
import type { Staging } from './staging.ts';

const NOTHING: SentPages = { bytes: 0, normal: 0, zero: 0 };

/** Sends guest pages: the queue says which, the format how. */
export class RamSender {
  readonly queue: PageQueue;
  readonly #encoder: PageEncoder;

  constructor(options: { memory: GuestMemory; staging: Staging; format: PageFormat; detectZero: boolean }) {
    const { memory, staging, format, detectZero } = options;
    const segments = kernelsOf(memory, staging.area);
    this.queue = new PageQueue(memory, segments);
    this.#encoder = format.encoder({ memory, segments, staging, detectZero });
  }

  /** Where sending goes on: index of the RAM block and offset in it, in bytes. Null if the pass has ended. */
  get next(): { readonly block: number; readonly offset: number } | null {
    const run = this.queue.next();
    if (run === null) return null;
    const { block, extent, firstPage } = run;
    return { block, offset: extent.blockOffset + (firstPage - firstPageOf(extent)) * PAGE_BYTES };
  }

  /** Sends records into the open section: about `bytesMax` bytes, but at least one page if one is to be sent. */
  async send(bytesMax: number): Promise<SentPages> {
    const run = this.queue.next();
    if (run === null) return NOTHING;
    const sent = await this.#encoder.send(run, bytesMax);
    this.queue.sent(run, sent);
    return sent;
  }
}
