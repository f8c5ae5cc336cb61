import { type ByteReader, ByteWriter, StreamError } from './bytes.ts';
import { ELEMENT, MACHINE_NAME_BYTES_MAX, STREAM_MAGIC, STREAM_VERSION } from './constants.ts';

/*
 * How a stream begins.
 *
 *   u32 magic "QEVM", u32 version 3
 *   07, u32 length, machine name
 *   subsections: 05, str8 name, u32 version, payload
 *     configuration/target-page-bits  u32
 *     configuration/capabilities      u32 count, count x str8
 *     configuration/uuid              16 bytes
 *
 * Nothing says how many subsections follow: they go on while a 05 with a name `configuration/…` comes next.
 */

export type Configuration = {
  readonly machineName: string;
  readonly capabilities: readonly string[];
  /** 16 bytes in text order, or null. */
  readonly uuid: Uint8Array | null;
  readonly targetPageBits: number | null;
  /** The subsections as they came. */
  readonly tail: Uint8Array;
};

const PREFIX = 'configuration/';
/** Validated capabilities in a stream, at most: there are two in QEMU 10.0. */
const CAPABILITIES_MAX = 64;

export function encodeHeader(): Uint8Array {
  return new ByteWriter().u32(STREAM_MAGIC).u32(STREAM_VERSION).finish();
}

/** The configuration section; `tail` is its subsections in wire form. */
export function encodeConfiguration(machineName: string, tail: Uint8Array): Uint8Array {
  const name = Buffer.from(machineName, 'utf8');
  return new ByteWriter().u8(ELEMENT.configuration).u32(name.length).bytes(name).bytes(tail).finish();
}

/** The subsection that carries a machine's uuid, given in text form. */
export function encodeUuidSubsection(uuid: string): Uint8Array {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  if (bytes.length !== 16) throw new RangeError(`'${uuid}' is no uuid`);
  return new ByteWriter().u8(ELEMENT.subsection).str8(`${PREFIX}uuid`).u32(1).bytes(bytes).finish();
}

/** Checks magic and version. @throws StreamError that says what else seems to talk. */
export function decodeHeader(reader: ByteReader): void {
  const magic = reader.u32();
  if (magic !== STREAM_MAGIC) throw foreignStream(magic);
  const version = reader.u32();
  if (version !== STREAM_VERSION) {
    throw new StreamError(
      'stream_version_unknown',
      `the stream has version ${version}; version ${STREAM_VERSION} is read`,
    );
  }
}

/** Reads the configuration section. Throws IncompleteError until the byte behind it is there. */
export function decodeConfiguration(reader: ByteReader): Configuration {
  const type = reader.u8();
  if (type !== ELEMENT.configuration) {
    throw new StreamError('configuration_missing', `the stream begins with element ${type}, not with a configuration`);
  }
  const length = reader.u32();
  if (length > MACHINE_NAME_BYTES_MAX) {
    throw new StreamError(
      'machine_name_too_long',
      `the machine name has ${length} bytes, above ${MACHINE_NAME_BYTES_MAX}`,
    );
  }
  const machineName = Buffer.from(reader.bytes(length)).toString('utf8');
  const parts = {
    capabilities: [] as string[],
    uuid: null as Uint8Array | null,
    targetPageBits: null as number | null,
  };
  const from = reader.position;
  while (peek(reader) === ELEMENT.subsection) decodeSubsection(reader, parts);
  const end = reader.position;
  reader.position = from;
  return { machineName, ...parts, tail: reader.bytes(end - from).slice() };
}

function decodeSubsection(
  reader: ByteReader,
  parts: { capabilities: string[]; uuid: Uint8Array | null; targetPageBits: number | null },
): void {
  reader.u8();
  const name = reader.str8();
  const version = reader.u32();
  if (version !== 1) throw new StreamError('subsection_unknown', `subsection '${name}' has version ${version}, not 1`);
  if (name === `${PREFIX}target-page-bits`) {
    parts.targetPageBits = reader.u32();
  } else if (name === `${PREFIX}capabilities`) {
    const count = reader.u32();
    if (count > CAPABILITIES_MAX) {
      throw new StreamError('subsection_unknown', `${count} capabilities are listed, above ${CAPABILITIES_MAX}`);
    }
    for (let i = 0; i < count; i++) parts.capabilities.push(reader.str8());
  } else if (name === `${PREFIX}uuid`) {
    parts.uuid = reader.bytes(16).slice();
  } else {
    throw new StreamError('subsection_unknown', `the configuration has an unknown subsection '${name}'`);
  }
}

function peek(reader: ByteReader): number {
  const byte = reader.u8();
  reader.position -= 1;
  return byte;
}

function foreignStream(magic: number): StreamError {
  if (magic === MULTIFD_MAGIC) return multifdDiffers('a connection begins as a further channel of multifd does');
  const text = Buffer.alloc(4);
  text.writeUInt32BE(magic);
  const seen = `0x${magic.toString(16).padStart(8, '0')}`;
  if (/^(GET |POST|PUT |HEAD|OPTI|PATC|DELE|PRI )/.test(text.toString('latin1'))) {
    return new StreamError('peer_speaks_http', `the peer speaks HTTP (the stream begins with ${seen})`);
  }
  if (text[0] === 0x16 && text[1] === 0x03) {
    return new StreamError(
      'peer_speaks_tls',
      `the peer speaks TLS (the stream begins with ${seen}), and TLS is off here`,
    );
  }
  return new StreamError('not_a_migration_stream', `the stream begins with ${seen}, not with the magic 0x5145564d`);
}

/** Each further channel of multifd begins with these four bytes. */
export const MULTIFD_MAGIC = 0x11223344;

/** The sender has multifd on, which vmferry does not have. `sign`: where the stream shows that. */
export function multifdDiffers(sign: string): StreamError {
  return new StreamError(
    'capability_differs',
    `the sender has multifd on, which is not available here: switch it off there (${sign})`,
  );
}
