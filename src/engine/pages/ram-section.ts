import type { GuestMemory, TransferTarget } from '../memory/machine-state.ts';
import { type ByteReader, StreamError } from '../stream/bytes.ts';
import { RAM_FLAG, RAM_FLAGS_MASK, RAM_SECTION } from '../stream/constants.ts';
import { decodeRamSetup } from '../stream/ram-setup.ts';
import { decodeFooter, decodeSectionHead, type SectionHead } from '../stream/stream-elements.ts';
import { memoryFor } from '../stream/target-checks.ts';
import type { StreamInput } from './input-buffer.ts';
import type { PageDecoder, PageFormat } from './page-format.ts';
import { PageStore } from './page-store.ts';

/** RAM is divided into so many parts; each counts as progress when the first page of it has come. */
const MILESTONES = 64;
/** The mark behind the records of a PART or of the END: one 64-bit word. */
const END_MARK_BYTES = 8;

/**
 * The ram section of a stream at a target: its START with the list of blocks, any number of PARTs, one END. The page
 * format reads the records in between.
 */
export class RamSection {
  readonly #target: TransferTarget;
  readonly #input: StreamInput;
  #head: SectionHead | null = null;
  readonly #format: PageFormat;
  /** Both null before the START. */
  #store: PageStore | null = null;
  #decoder: PageDecoder | null = null;
  #isEnd = false;
  /** Null before the START. */
  memory: GuestMemory | null = null;
  /** True once the END has come, with its footer. */
  isEnded = false;

  constructor(target: TransferTarget, input: StreamInput, format: PageFormat) {
    this.#target = target;
    this.#input = input;
    this.#format = format;
  }

  get head(): SectionHead {
    if (this.#head === null) throw new RangeError('no ram section has started');
    return this.#head;
  }

  get pages(): { readonly normal: number; readonly zero: number } {
    return { normal: this.#store?.normalPages ?? 0, zero: this.#store?.zeroPages ?? 0 };
  }

  get bytes(): number {
    return this.memory?.blocks.reduce((sum, block) => sum + block.bytes, 0) ?? 0;
  }

  /** Grows with the list of blocks, with each of the MILESTONES parts of RAM that is reached, and with the END. */
  get milestone(): number {
    if (this.#store === null) return 0;
    const reached = Math.floor((this.#store.reachedBytes * MILESTONES) / Math.max(1, this.bytes));
    return 1 + reached + (this.isEnded ? 1 : 0);
  }

  /** Reads the whole START behind its type byte. @returns a function that applies it. */
  start(reader: ByteReader): () => void {
    const head = decodeSectionHead(reader);
    if (head.idstr !== RAM_SECTION.idstr || head.instanceId !== RAM_SECTION.instanceId) {
      throw new StreamError(
        'section_unknown',
        `a live section '${head.idstr}', instance ${head.instanceId}, comes, which is not known here`,
      );
    }
    if (head.versionId !== RAM_SECTION.versionId) {
      throw new StreamError(
        'section_version',
        `section 'ram' has version ${head.versionId}; version ${RAM_SECTION.versionId} is read`,
      );
    }
    if (this.#head !== null) throw new StreamError('section_duplicate', "section 'ram' starts twice");
    const blocks = decodeRamSetup(reader);
    decodeFooter(reader, head);
    return () => {
      this.#head = head;
      this.memory = memoryFor(blocks, this.#target);
      this.#store = new PageStore(this.memory, this.#input);
      this.#decoder = this.#format.decoder(this.#store, this.#input);
    };
  }

  /** Checks the head of a PART or of the END. @returns a function that opens it. */
  reopen(isEnd: boolean, sectionId: number): () => void {
    if (this.#head === null || sectionId !== this.#head.sectionId) {
      throw new StreamError('section_unknown', `a part of section ${sectionId} comes, which did not start`);
    }
    if (this.isEnded) throw new StreamError('section_order', "a part of section 'ram' comes after its end");
    return () => {
      this.#isEnd = isEnd;
    };
  }

  /** Applies the records that have come. @returns true when the body has ended; false if more bytes are needed. */
  receive(): boolean {
    if (this.#decoder === null) throw new RangeError('no ram section is open');
    for (;;) {
      const word = this.#input.peekWord();
      if (word === null) return false;
      if ((word.low & RAM_FLAGS_MASK) === RAM_FLAG.eos) {
        this.#input.take(END_MARK_BYTES);
        return true;
      }
      if (!this.#decoder.decode()) return false;
    }
  }

  /** The sender has sent the whole stream. */
  noMore(): void {
    this.#decoder?.noMore();
  }

  /** The footer has come. */
  close(): void {
    this.isEnded = this.#isEnd;
  }

  /** RAM is complete. @throws StreamError if its pages can only have been of another size. */
  finish(): void {
    this.#decoder?.finish();
  }
}
