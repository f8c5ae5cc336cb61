import { type ByteReader, ByteWriter, StreamError } from './bytes.ts';
import { COMMAND, ELEMENT } from './constants.ts';

/*
 * Sections.
 *
 *   01 START or 04 FULL: u32 section id, str8 idstr, u32 instance id, u32 version id, body, footer
 *   02 PART or 03 END:   u32 section id, body, footer
 *   footer:              7e, u32 section id
 *
 * The sender numbers its sections: START and FULL give idstr, instance id and section id, the others only the section id.
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

/** Reads the head of START or FULL behind the type byte. */
export function decodeSectionHead(reader: ByteReader): SectionHead {
  const sectionId = reader.u32();
  const idstr = reader.str8();
  const instanceId = reader.u32();
  const versionId = reader.u32();
  return { sectionId, idstr, instanceId, versionId };
}

/** @throws StreamError if there is no footer, or one of another section. */
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

/*
 * Commands: 08, u16 command, u16 length, length bytes; no footer.
 */

export type StreamCommand =
  | { readonly name: 'open-return-path' }
  | { readonly name: 'ping'; readonly value: number }
  | { readonly name: 'switchover-start' };

export function encodeCommand(command: StreamCommand): Uint8Array {
  const writer = new ByteWriter().u8(ELEMENT.command);
  if (command.name === 'ping') return writer.u16(COMMAND.ping).u16(4).u32(command.value).finish();
  const id = command.name === 'open-return-path' ? COMMAND.openReturnPath : COMMAND.switchoverStart;
  return writer.u16(id).u16(0).finish();
}

/** Reads a command behind its type byte. @throws StreamError for an unknown or unavailable command, or a wrong length. */
export function decodeCommand(reader: ByteReader): StreamCommand {
  const id = reader.u16();
  const length = reader.u16();
  if (id === COMMAND.openReturnPath) return expectLength(id, length, 0) ?? { name: 'open-return-path' };
  if (id === COMMAND.switchoverStart) return expectLength(id, length, 0) ?? { name: 'switchover-start' };
  if (id === COMMAND.ping) return expectLength(id, length, 4) ?? { name: 'ping', value: reader.u32() };
  const name = Object.entries(COMMAND).find(([, value]) => value === id)?.[0];
  if (name === undefined) throw new StreamError('command_unknown', `the stream holds the unknown command ${id}`);
  throw new StreamError(
    'command_not_available',
    `the stream holds the command ${name}, which is not available in this version`,
  );
}

function expectLength(id: number, length: number, expected: number): null {
  if (length === expected) return null;
  throw new StreamError('command_broken', `command ${id} has ${length} bytes, not ${expected}`);
}
