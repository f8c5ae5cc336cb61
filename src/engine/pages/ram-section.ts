import type { GuestMemory, TransferTarget } from '../memory/machine-state.ts';
import { type ByteReader, StreamError } from '../stream/bytes.ts';
import { RAM_SECTION } from '../stream/constants.ts';
import { decodeRamSetup } from '../stream/ram-setup.ts';
import { decodeFooter, decodeSectionHead, type SectionHead } from '../stream/stream-elements.ts';
import { memoryFor } from '../stream/target-checks.ts';
import type { StreamInput } from './input-buffer.ts';
import { RamReceiver } from './ram-receiver.ts';

/** Parts of RAM, each of which is progress once. */
const MILESTONES = 64;

/** The ram section of a stream: its START with the list of blocks, any number of PARTs, one END. */
export class RamSection {
  readonly #target: TransferTarget;
  readonly #input: StreamInput;
  #head: SectionHead | null = null;
  #receiver: RamReceiver | null = null;
  #isEnd = false;
  /** Null before the START. */
  memory: GuestMemory | null = null;
  /** True once the END has come, with its footer. */
  isEnded = false;

  constructor(target: TransferTarget, input: StreamInput) {
    this.#target = target;
    this.#input = input;
  }

  get head(): SectionHead {
    if (this.#head === null) throw new RangeError('no ram section has started');
    return this.#head;
  }

  get pages(): { readonly normal: number; readonly zero: number } {
    return { normal: this.#receiver?.normalPages ?? 0, zero: this.#receiver?.zeroPages ?? 0 };
  }

  get bytes(): number {
    return this.memory?.blocks.reduce((sum, block) => sum + block.bytes, 0) ?? 0;
  }

  /** Grows with the list of blocks, with each MILESTONES-th of RAM that is reached for the first time, and with the END. */
  get milestone(): number {
    if (this.#receiver === null) return 0;
    const reached = Math.floor((this.#receiver.reachedBytes * MILESTONES) / Math.max(1, this.bytes));
    return 1 + reached + (this.isEnded ? 1 : 0);
  }

  /** Reads the whole START behind its type byte. @returns what it does. */
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
      this.#receiver = new RamReceiver(this.memory, this.#input);
    };
  }

  /** Checks the head of a PART or of the END. @returns what it does. */
  reopen(isEnd: boolean, sectionId: number): () => void {
    if (this.#head === null || sectionId !== this.#head.sectionId) {
      throw new StreamError('section_unknown', `a part of section ${sectionId} comes, which did not start`);
    }
    if (this.isEnded) throw new StreamError('section_order', "a part of section 'ram' comes after its end");
    return () => {
      this.#isEnd = isEnd;
    };
  }

  /** Applies what is there of the body. @returns true when it has ended; false: more is needed. */
  receive(): boolean {
    if (this.#receiver === null) throw new RangeError('no ram section is open');
    return this.#receiver.receive();
  }

  /** Nothing more will come of the stream. */
  noMore(): void {
    this.#receiver?.noMore();
  }

  /** The footer has come. */
  close(): void {
    this.isEnded = this.#isEnd;
  }

  /** RAM is complete. @throws StreamError if its pages can only have been of another size. */
  finish(): void {
    this.#receiver?.finish();
  }
}
