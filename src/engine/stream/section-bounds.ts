import type { OpaqueSection } from '../memory/machine-state.ts';
import { ByteReader, IncompleteError, StreamError } from './bytes.ts';
import { ELEMENT } from './constants.ts';
import { decodeFooter, decodeSectionHead, encodeFooter, FOOTER_BYTES } from './stream-elements.ts';

/** The key of a section in tables of body sizes. */
export function sizeKey({ idstr, instanceId }: Pick<OpaqueSection, 'idstr' | 'instanceId'>): string {
  return `${idstr}/${instanceId}`;
}

/**
 * Reads `bytes`, which contain only FULL sections, by the sizes of their bodies (keys are those of `sizeKey`).
 * @returns null if a size is missing, or a footer is not where its size says.
 */
export function sectionsBySize(bytes: Uint8Array, sizes: ReadonlyMap<string, number>): readonly OpaqueSection[] | null {
  const reader = new ByteReader(bytes);
  const sections: OpaqueSection[] = [];
  try {
    while (reader.left > 0) {
      if (reader.u8() !== ELEMENT.sectionFull) return null;
      const head = decodeSectionHead(reader);
      const size = sizes.get(sizeKey(head));
      if (size === undefined) return null;
      sections.push({ ...head, body: Buffer.from(reader.bytes(size)) });
      decodeFooter(reader, head);
    }
  } catch (error) {
    if (error instanceof IncompleteError || error instanceof StreamError) return null;
    throw error;
  }
  return sections;
}

/** Sections before the end of RAM, at most. */
const EARLY_SECTIONS_MAX = 64;
/** Longest section before the end of RAM, in bytes: it must fit into the input buffer. */
const EARLY_SECTION_BYTES_MAX = 512 * 1024;

/** Keeps the device sections of an unknown machine that come before the end of RAM, unchanged. */
export class EarlySections {
  readonly all: OpaqueSection[] = [];

  /**
   * Reads a section behind its type byte. @param view all bytes of `reader`.
   * @returns a function that keeps the section. @throws StreamError, or IncompleteError until it is complete.
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
 * footer with its id behind which an element may begin. Null while bytes are missing.
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
