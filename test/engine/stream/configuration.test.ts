import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../src/engine/stream/bytes.ts';
import {
  decodeConfiguration,
  decodeHeader,
  encodeConfiguration,
  encodeHeader,
  encodeUuidSubsection,
} from '../../../src/engine/stream/configuration.ts';
import { expectMoreWanted, hex, refusal } from './decoding.ts';
import { configuration, str8, subsection, u32 } from './stream-builder.ts';

const UUID = '5f0c1c6e-9a3d-4b6e-8f10-0123456789ab';
/** The end of a configuration shows only in what follows it. */
const NEXT = hex('01');

/** The byte behind the configuration is not part of it. */
function decode(reader: ByteReader) {
  const read = decodeConfiguration(reader);
  expect(reader.left).toBe(1);
  return read;
}

describe('the header', () => {
  it('is magic and version 3', () => {
    expect(Buffer.from(encodeHeader()).toString('hex')).toBe('5145564d00000003');
    expect(refusal(encodeHeader(), decodeHeader)).toBe('accepted');
    expectMoreWanted(encodeHeader(), decodeHeader);
  });

  it('of another protocol is recognised by its first four bytes', () => {
    const codes = ['GET ', 'POST', 'PUT ', 'HEAD', 'OPTI', 'DELE', 'PATC', 'PRI ', '\x16\x03\x01\x02', 'SSH-', 'QEVN'];
    expect(codes.map((text) => refusal(Buffer.from(text, 'latin1'), decodeHeader))).toEqual([
      ...Array(8).fill('peer_speaks_http'),
      'peer_speaks_tls',
      'not_a_migration_stream',
      'not_a_migration_stream',
    ]);
  });
});

describe('the configuration', () => {
  it('is read as it was written, with its subsections in wire form', () => {
    const tail = encodeUuidSubsection(UUID);
    const bytes = Buffer.concat([encodeConfiguration('pc-i440fx-10.0', tail), NEXT]);
    const read = decode(new ByteReader(bytes));

    expect(read.machineName).toBe('pc-i440fx-10.0');
    expect(Buffer.from(read.uuid ?? []).toString('hex')).toBe(UUID.replaceAll('-', ''));
    expect(Buffer.from(read.tail).equals(tail)).toBe(true);
    expectMoreWanted(bytes, decodeConfiguration);
  });

  it('is read from any writer that follows the format', () => {
    const capabilities = Buffer.concat([u32(2), str8('x-ignore-shared'), str8('mapped-ram')]);
    const parts = [
      subsection('configuration/target-page-bits', u32(12)),
      subsection('configuration/capabilities', capabilities),
      subsection('configuration/uuid', Buffer.alloc(16, 7)),
    ];
    const bytes = Buffer.concat([configuration('q35', ...parts), NEXT]);
    const read = decode(new ByteReader(bytes));

    expect(read).toMatchObject({ capabilities: ['x-ignore-shared', 'mapped-ram'], targetPageBits: 12 });
    expect(Buffer.from(read.tail).equals(Buffer.concat(parts))).toBe(true);
    expectMoreWanted(bytes, decodeConfiguration);
  });

  it('with wrong lengths is refused before anything is stored', () => {
    expect(refusal(hex('07 00000100'), decodeConfiguration)).toBe('machine_name_too_long');
    const many = configuration('a', subsection('configuration/capabilities', u32(65)));
    expect(refusal(many, decodeConfiguration)).toBe('subsection_unknown');
    expect(refusal(hex('04'), decodeConfiguration)).toBe('configuration_missing');
  });

  it('refuses a text that is no uuid', () => {
    expect(() => encodeUuidSubsection('5f0c1c6e')).toThrow(/no uuid/);
  });
});
