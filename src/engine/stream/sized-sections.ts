import type { OpaqueSection } from '../memory/machine-state.ts';
import { ByteReader, IncompleteError, StreamError } from './byte-reader.ts';
import { ELEMENT } from './constants.ts';
import { decodeFooter, decodeSectionHead } from './section.ts';

/** How the size of a section's body is looked up. */
export function sizeKey({ idstr, instanceId }: Pick<OpaqueSection, 'idstr' | 'instanceId'>): string {
  return `${idstr}/${instanceId}`;
}

/**
 * FULL sections whose body sizes are known, by `sizeKey`; `bytes` holds nothing else.
 * @returns null if the sizes do not lead from footer to footer and to the end.
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
