import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../src/engine/stream/bytes.ts';
import {
  decodeVmDescription,
  describedBodySizes,
  encodeVmDescription,
  encodeVmDescriptionText,
  findVmDescription,
} from '../../../src/engine/stream/vm-description.ts';
import { expectMoreWanted, hex, refusal } from './decoding.ts';

const DEVICE = { idstr: 'clock', instanceId: 2, versionId: 1, fields: [{ name: 'ticks', type: 'uint64', bytes: 8 }] };

function sizesOf(...devices: unknown[]): [string, number][] {
  return [...(describedBodySizes(Buffer.from(JSON.stringify({ devices }))) ?? [])];
}

function device(parts: object): object {
  return { name: 'a', instance_id: 0, vmsd_name: 'a', version: 1, ...parts };
}

describe('a vmdescription', () => {
  it('names every device with its fields, and globalstate', () => {
    const element = encodeVmDescription('small-1.0', [DEVICE]);
    const reader = new ByteReader(element);

    expect(reader.u8()).toBe(6);
    const text = decodeVmDescription(reader);
    expect(reader.left).toBe(0);
    expect([...(describedBodySizes(text) ?? [])]).toEqual([
      ['clock/2', 8],
      ['globalstate/0', 104],
    ]);
    expectMoreWanted(element.subarray(1), decodeVmDescription);
  });

  it('has a length without the byte of a brace, which would mislead a reader that searches for a brace', () => {
    for (let extra = 0; extra < 300; extra++) {
      const element = Buffer.from(
        encodeVmDescription('m'.repeat(1 + (extra % 200)), [{ ...DEVICE, idstr: 'd'.repeat(1 + extra) }]),
      );
      expect(element.indexOf('{')).toBe(5);
      expect(element.readUInt32BE(1)).toBe(element.length - 5);
    }
  });

  it('is refused above its limit before its bytes have arrived', () => {
    expect(refusal(hex('01000001'), decodeVmDescription)).toBe('vm_description_too_long');
    expect(refusal(hex('00000065'), (reader) => decodeVmDescription(reader, 100))).toBe('vm_description_too_long');
  });

  it('has sizes for arrays, elements and nested subsections', () => {
    const inner = {
      vmsd_name: 'a/in',
      version: 1,
      fields: [{ size: 3 }],
      subsections: [{ vmsd_name: 'a/in/x', version: 1, fields: [] }],
    };
    expect(sizesOf(device({ fields: [{ size: 4, array_len: 5 }, { size: 2 }] }))).toEqual([['a/0', 22]]);
    expect(sizesOf(device({ fields: [{ size: 4, array_len: 5, index: 0 }] }))).toEqual([['a/0', 4]]);
    expect(sizesOf(device({ fields: [{ size: 1 }], subsections: [inner] }))).toEqual([['a/0', 1 + 6 + 4 + 3 + 6 + 6]]);
  });

  it('has no size if a field is invalid', () => {
    for (const fields of [
      [{ size: -1 }],
      [{ size: 0.5 }],
      [{ size: 'x' }],
      [{}],
      'none',
      [{ size: 2 ** 52, array_len: 4 }],
    ]) {
      expect(sizesOf(device({ fields }))).toEqual([]);
    }
    let deep: object = { vmsd_name: 'x', version: 1, fields: [] };
    for (let depth = 0; depth < 20; depth++) deep = { vmsd_name: 'x', version: 1, fields: [], subsections: [deep] };
    expect(sizesOf(device({ fields: [], subsections: [deep] }))).toEqual([]);
    for (const text of ['', '[]', '{"devices":3}', 'null', '{'])
      expect(describedBodySizes(Buffer.from(text))).toBeNull();
    expect(describedBodySizes(Buffer.from('{"__proto__":{"devices":[]}}'))).toBeNull();
  });

  it('is found at the end of a stream, and only if it is complete', () => {
    const stream = Buffer.concat([hex('7e0000000500'), encodeVmDescriptionText(Buffer.from('{"devices":[]}'))]);

    expect(findVmDescription(stream)?.endMark).toBe(5);
    expect(Buffer.from(findVmDescription(stream)?.text ?? []).toString()).toBe('{"devices":[]}');
    for (let length = 0; length < stream.length; length++)
      expect(findVmDescription(stream.subarray(0, length))).toBeNull();
    expect(findVmDescription(Buffer.concat([stream, hex('20')]))).toBeNull();
  });
});
