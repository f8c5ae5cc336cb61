import { describe, expect, it } from 'vitest';
import {
  decodeFooter,
  decodeSectionHead,
  encodeFooter,
  encodeSectionHead,
  encodeSectionPart,
} from '../../../src/engine/stream/section.ts';
import { decodeAll, expectMoreWanted, hex, refusal } from './decoding.ts';

const HEAD = { sectionId: 0x2a, idstr: 'cpu_common', instanceId: 1, versionId: 12 };
const BYTES = hex('0000002a 0a 6370755f636f6d6d6f6e 00000001 0000000c');

describe('a section', () => {
  it('begins with its id, its name, its instance and its version', () => {
    expect(Buffer.from(encodeSectionHead('full', HEAD)).equals(Buffer.concat([hex('04'), BYTES]))).toBe(true);
    expect(Buffer.from(encodeSectionHead('start', HEAD)).equals(Buffer.concat([hex('01'), BYTES]))).toBe(true);
    expect(decodeAll(BYTES, decodeSectionHead)).toEqual(HEAD);
    expectMoreWanted(BYTES, decodeSectionHead);
  });

  it('goes on and ends by its id alone', () => {
    expect(Buffer.from(encodeSectionPart('part', 2)).toString('hex')).toBe('0200000002');
    expect(Buffer.from(encodeSectionPart('end', 2)).toString('hex')).toBe('0300000002');
  });

  it('is closed by a footer with its own id and no other', () => {
    const footer = encodeFooter(HEAD.sectionId);
    const decode = (reader: Parameters<typeof decodeFooter>[0]) => decodeFooter(reader, HEAD);

    expect(Buffer.from(footer).toString('hex')).toBe('7e0000002a');
    decodeAll(footer, decode);
    expectMoreWanted(footer, decode);
    expect(refusal(hex('7e0000002b'), decode)).toBe('footer_wrong');
    expect(refusal(hex('04'), decode)).toBe('footer_missing');
  });
});
