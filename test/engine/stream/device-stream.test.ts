import { describe, expect, it } from 'vitest';
import type {
  ImageStream,
  LoadedMachine,
  OpaqueSection,
  TransferSource,
} from '../../../src/engine/memory/machine-state.ts';
import { StreamError } from '../../../src/engine/stream/bytes.ts';
import { decodeDeviceStream, encodeDeviceStream } from '../../../src/engine/stream/device-stream.ts';
import { readStreamFixture } from '../../helpers/qemu/fixtures.ts';
import { imagePlan, read, SmallMachine } from './reading.ts';
import { EOF, full, globalState, magic } from './stream-builder.ts';

const CLOCK = { id: 3, idstr: 'clock' };
const PORT = { id: 4, idstr: 'port', instance: 3, version: 2 };

function knownSource(): TransferSource {
  const { memory, devices } = new SmallMachine();
  return { machineName: 'small-1.0', memory, vcpuControl: null, state: { form: 'devices', devices } };
}

function imageSource(name: string): TransferSource {
  const { loaded, error } = read(readStreamFixture(name).stream, imagePlan());
  if (loaded?.state.form !== 'image') throw error ?? new Error('no image was loaded');
  const { machineName, memory, image } = loaded.state;
  return { machineName, memory, vcpuControl: null, state: { form: 'image', image } };
}

function imageOf({ state }: { readonly state: TransferSource['state'] | LoadedMachine['state'] }): ImageStream {
  if (state.form !== 'image') throw new Error('this is no image');
  return state.image;
}

function withImage(source: TransferSource, change: Partial<ImageStream>): TransferSource {
  return { ...source, state: { form: 'image', image: { ...imageOf(source), ...change } } };
}

function errorOf(bytes: Uint8Array, source: TransferSource): StreamError {
  try {
    decodeDeviceStream(bytes, source);
  } catch (error) {
    if (error instanceof StreamError) return error;
    throw error;
  }
  throw new Error('it was taken');
}

describe('the device state of a machine with known devices', () => {
  it('has the header, its devices, the run state and the end mark, and is read back', () => {
    const source = knownSource();
    if (source.state.form !== 'devices') throw new Error('these devices are known');
    source.state.devices[0]?.body.set([1, 2, 3, 4, 5, 6, 7, 8]);
    source.state.devices[1]?.body.fill(9);
    const { bytes, sections } = encodeDeviceStream(source);
    expect(sections).toBe(3);
    const expected = [
      magic(),
      full(CLOCK, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)),
      full(PORT, new Uint8Array(21).fill(9)),
      globalState(5),
      EOF,
    ];
    expect(Buffer.compare(bytes, Buffer.concat(expected))).toBe(0);
    const bodies = source.state.devices.map(({ body }) => Uint8Array.from(body));
    for (const { body } of source.state.devices) body.fill(0);
    const loaded = decodeDeviceStream(bytes, source);
    expect(loaded).toMatchObject({ globalState: 'running', state: { form: 'devices', bodies } });
    expect(loaded.state.memory).toBe(source.memory);
  });

  it('is refused if it is cut at any byte', () => {
    const source = knownSource();
    const { bytes } = encodeDeviceStream(source);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(errorOf(bytes.subarray(0, length), source).code, String(length)).toBe('stream_truncated');
    }
  });

  const devices = [full(CLOCK, new Uint8Array(8)), full(PORT, new Uint8Array(21)), globalState(5)];

  it.each([
    ['another magic', [Buffer.from('QEVN'), magic().subarray(4), ...devices, EOF], 'not_a_migration_stream'],
    ['data after its end', [magic(), ...devices, EOF, EOF], 'data_after_end'],
    ['a duplicate device', [magic(), devices[0]!, ...devices, EOF], 'section_duplicate'],
    ['a missing device', [magic(), ...devices.slice(1), EOF], 'section_missing'],
    ['no run state', [magic(), ...devices.slice(0, 2), EOF], 'section_missing'],
    ['an unknown device', [magic(), full({ ...CLOCK, instance: 1 }, new Uint8Array(8)), EOF], 'section_unknown'],
    ['another version', [magic(), full({ ...CLOCK, version: 2 }, new Uint8Array(8)), EOF], 'section_version'],
    ['RAM', [magic(), Buffer.of(1), EOF], 'element_unexpected'],
  ])('is refused with %s', (_, parts, code) => {
    expect(errorOf(Buffer.concat(parts), knownSource()).code).toBe(code);
  });
});

describe('the device state of an image', () => {
  it.each(['pc-10.0-devices', 'pc-10.0-no-vmdesc', 'isapc-10.0', 'pc-7.2'])('%s is read back unchanged', (name) => {
    const source = imageSource(name);
    const { bytes, sections } = encodeDeviceStream(source);
    const loaded = decodeDeviceStream(bytes, source);
    expect(imageOf(loaded)).toEqual(imageOf(source));
    expect(sections).toBe(imageOf(source).earlySections.length + imageOf(source).sections.length);
    // Without the sizes of the image the reader uses the footers.
    const stripped = imageOf(source).sections.map((section) => ({ ...section, body: section.body.subarray(1) }));
    const found = imageOf(decodeDeviceStream(bytes, withImage(source, { sections: stripped })));
    const others = (list: readonly OpaqueSection[]) => list.filter(({ idstr }) => idstr !== 'globalstate');
    expect(others(found.sections)).toEqual(others(imageOf(source).sections));
    expect(found.vmDescription).toBeNull();
  });

  it('always has the run state running, and the run state of the image is unchanged', () => {
    const source = imageSource('pc-10.0-stopped');
    const { bytes } = encodeDeviceStream(source);
    expect(bytes.includes(0)).toBe(true);
    expect(Buffer.from(bytes).includes('running\0')).toBe(true);
    expect(Buffer.from(bytes).includes('paused\0')).toBe(false);
    expect(imageOf(decodeDeviceStream(bytes, source))).toEqual(imageOf(source));
  });

  it('of another machine, or cut off, is refused', () => {
    const source = imageSource('pc-10.0');
    const { bytes } = encodeDeviceStream(source);
    expect(errorOf(bytes, imageSource('isapc-10.0')).code).toBe('section_unknown');
    expect(errorOf(encodeDeviceStream(imageSource('isapc-10.0')).bytes, source).code).toMatch(/^section_/);
    for (let length = 0; length < bytes.length; length += 97) {
      expect(errorOf(bytes.subarray(0, length), source).code, String(length)).toMatch(
        /^(stream_truncated|section_\w+)$/,
      );
    }
    expect(errorOf(readStreamFixture('pc-10.0').stream, source).code).toBe('element_unexpected');
  });

  it('is read with the section ids of the image, not of the file', () => {
    const source = imageSource('pc-10.0');
    const shifted = imageOf(source).sections.map((section) => ({ ...section, sectionId: section.sectionId + 7 }));
    const { bytes } = encodeDeviceStream(withImage(source, { sections: shifted }));
    expect(imageOf(decodeDeviceStream(bytes, source))).toEqual(imageOf(source));
  });
});
