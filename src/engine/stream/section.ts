import { type ByteReader, StreamError } from './byte-reader.ts';
import { ByteWriter } from './byte-writer.ts';
import { ELEMENT } from './constants.ts';

/*
 * Sections.
 *
 *   01 START or 04 FULL: u32 section id, str8 idstr, u32 instance id, u32 version id, body, footer
 *   02 PART or 03 END:   u32 section id, body, footer
 *   footer:              7e, u32 section id
 *
 * The section id is the sender's counter: START and FULL bind it to (idstr, instance id), the others refer to it.
 */

export type SectionName = { readonly idstr: string; readonly instanceId: number; readonly versionId: number };
export type SectionHead = SectionName & { readonly sectionId: number };

export const FOOTER_BYTES = 5;

export function encodeSectionHead(type: 'start' | 'full', head: SectionHead): Uint8Array {
  return new ByteWriter()
    .u8(type === 'start' ? ELEMENT.sectionStart : ELEMENT.sectionFull)
    .u32(head.sectionId)
    .str8(head.idstr)
    .u32(head.instanceId)
    .u32(head.versionId)
    .finish();
}

export function encodeSectionPart(type: 'part' | 'end', sectionId: number): Uint8Array {
  return new ByteWriter()
    .u8(type === 'part' ? ELEMENT.sectionPart : ELEMENT.sectionEnd)
    .u32(sectionId)
    .finish();
}

export function encodeFooter(sectionId: number): Uint8Array {
  return new ByteWriter().u8(ELEMENT.footer).u32(sectionId).finish();
}

/** What follows the type byte of START and FULL. */
export function decodeSectionHead(reader: ByteReader): SectionHead {
  const sectionId = reader.u32();
  const idstr = reader.str8();
  const instanceId = reader.u32();
  const versionId = reader.u32();
  return { sectionId, idstr, instanceId, versionId };
}

/** @throws StreamError if the footer is not there or closes another section. */
export function decodeFooter(
  reader: ByteReader,
  section: { readonly idstr: string; readonly sectionId: number },
): void {
  const type = reader.u8();
  if (type !== ELEMENT.footer) {
    throw new StreamError(
      'footer_missing',
      `section '${section.idstr}' is followed by byte 0x${type.toString(16)}, not by its footer`,
    );
  }
  const sectionId = reader.u32();
  if (sectionId !== section.sectionId) {
    throw new StreamError(
      'footer_wrong',
      `the footer of section '${section.idstr}' names section ${sectionId}, not ${section.sectionId}`,
    );
  }
}
