import { describe, expect, test } from 'vitest';
import type { OpaqueSection, TransferSource } from '../../../src/engine/memory/machine-state.ts';
import { ELEMENT } from '../../../src/engine/stream/constants.ts';
import {
  MachineEncoder,
  STREAM_PARTS,
  type StreamPart,
  StreamPosition,
} from '../../../src/engine/stream/machine-stream.ts';

const MEMORY = { segments: [], blocks: [{ name: 'a', bytes: 4096, extents: [] }] };

function section(idstr: string, sectionId: number): OpaqueSection {
  return { idstr, instanceId: 0, versionId: 1, sectionId, body: new Uint8Array([1]) };
}

/** A machine of QEMU that keeps `switchoverStart` and a vmdescription, or neither. */
function image(isWhole: boolean): Pick<TransferSource, 'machineName' | 'memory' | 'state'> {
  const state = {
    form: 'image',
    image: {
      configurationTail: new Uint8Array(),
      ramSectionId: 7,
      switchoverStart: isWhole,
      earlySections: [section('early', 1)],
      sections: [section('late', 9)],
      vmDescription: isWhole ? Buffer.from('{}') : null,
    },
  } as const;
  return { machineName: 'small', memory: MEMORY, state };
}

/** The type byte of each element that one part has, footers and bodies aside. */
function typesOf(encoder: MachineEncoder, part: StreamPart): number[] {
  return [...encoder.through(part)].map((bytes) => bytes[0] ?? -1);
}

describe('the parts of a stream', () => {
  test('occur once each, in their order', () => {
    const position = new StreamPosition();
    expect([...position.through('ram-start')]).toEqual(STREAM_PARTS.slice(0, 5));
    expect([...position.through('description')]).toEqual(STREAM_PARTS.slice(5));
    expect([...position.through('description')]).toEqual([]);
  });

  test('cannot occur after a later part', () => {
    const position = new StreamPosition();
    position.enter('ram-end');
    expect(() => position.enter('ram-parts')).toThrow('the part ram-parts comes behind ram-end');
    expect([position.hasReached('ram-parts'), position.hasReached('devices')]).toEqual([true, false]);
  });
});

describe('the encoder of a machine', () => {
  test('encodes each part of an image once, in the order of its stream', () => {
    const encoder = new MachineEncoder({ source: image(true), uuid: null });
    expect(typesOf(encoder, 'configuration')).toEqual([0x51, ELEMENT.configuration]);
    expect(typesOf(encoder, 'ram-start')).toEqual([
      ELEMENT.sectionFull,
      1,
      ELEMENT.footer,
      ELEMENT.sectionStart,
      0,
      ELEMENT.footer,
    ]);
    expect(typesOf(encoder, 'switchover-start')).toEqual([ELEMENT.command]);
    expect(typesOf(encoder, 'devices')).toEqual([ELEMENT.sectionFull, 1, ELEMENT.footer]);
    expect(typesOf(encoder, 'description')).toEqual([ELEMENT.eof, ELEMENT.vmDescription]);
    expect(encoder.ramSectionId).toBe(7);
  });

  test('omits the parts that the stream of the image did not have', () => {
    const encoder = new MachineEncoder({ source: image(false), uuid: null });
    expect([...encoder.through('ram-parts')].length).toBe(8);
    expect(typesOf(encoder, 'ram-end')).toEqual([]);
    expect(typesOf(encoder, 'description')).toEqual([ELEMENT.sectionFull, 1, ELEMENT.footer, ELEMENT.eof]);
  });
});
