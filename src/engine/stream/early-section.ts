import type { OpaqueSection } from '../memory/machine-state.ts';
import { type ByteReader, IncompleteError, StreamError } from './byte-reader.ts';
import { ELEMENT } from './constants.ts';
import { decodeFooter, decodeSectionHead, encodeFooter, FOOTER_BYTES } from './section.ts';

/** Sections before RAM is complete that are kept, at most. */
const EARLY_SECTIONS_MAX = 64;
/** Longest section that may come before RAM is complete, in bytes: it has to fit the input buffer. */
const EARLY_SECTION_BYTES_MAX = 512 * 1024;

/** Device sections of an unknown machine that come before RAM is complete: kept as they are, up to their footers. */
export class EarlySections {
  readonly all: OpaqueSection[] = [];

  /**
   * Reads a section behind its type byte; `view` are the bytes that the reader reads.
   * @returns what keeps it. @throws StreamError, or IncompleteError until it is whole.
   */
  read(reader: ByteReader, view: Uint8Array): () => void {
    const head = decodeSectionHead(reader);
    if (this.all.length >= EARLY_SECTIONS_MAX) {
      throw new StreamError(
        'device_bytes_too_many',
        `more than ${EARLY_SECTIONS_MAX} sections come before the end of the ram section`,
      );
    }
    const length = findEarlyFooter(view, reader.position, head.sectionId);
    if (length === null) throw new IncompleteError();
    const body = Buffer.from(reader.bytes(length));
    decodeFooter(reader, head);
    return () => void this.all.push({ ...head, body });
  }
}

/**
 * Length of the body, beginning at `from`, of a device section that comes before RAM is complete: up to the first
 * footer with its id behind which an element may begin. Null while too little is there.
 * @throws StreamError if it is too long.
 */
export function findEarlyFooter(view: Uint8Array, from: number, sectionId: number): number | null {
  const footer = encodeFooter(sectionId);
  const all = Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  for (let at = all.indexOf(footer, from); at >= 0; at = all.indexOf(footer, at + 1)) {
    const next = all[at + FOOTER_BYTES];
    if (next === undefined) return null;
    if ((next >= ELEMENT.sectionStart && next <= ELEMENT.sectionFull) || next === ELEMENT.command) return at - from;
  }
  if (view.length - from <= EARLY_SECTION_BYTES_MAX) return null;
  throw new StreamError(
    'device_bytes_too_many',
    `a section before the ram section has more than ${EARLY_SECTION_BYTES_MAX} bytes`,
  );
}
