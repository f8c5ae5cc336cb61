import { describe, expect, it } from 'vitest';
import { StreamError } from '../../../src/engine/stream/bytes.ts';
import { OpaqueDeviceReader, type OpaqueDevices } from '../../../src/engine/stream/opaque-devices.ts';
import { readStreamFixture } from '../../helpers/qemu/fixtures.ts';
import { imagePlan, read } from './reading.ts';
import { description, EOF, footer, full, globalState, globalStateBody, head, u8 } from './stream-builder.ts';

/** The end of a stream with these bodies, as a list of devices `dev0`, `dev1`, … and globalstate. */
function tail(bodies: readonly Buffer[], sizes: readonly number[] = bodies.map((body) => body.length)): Buffer {
  const sections = bodies.map((body, index) => full({ id: 10 + index, idstr: `dev${index}` }, body));
  const devices = sizes.map((size, index) => device(`dev${index}`, size));
  const json = { page_size: 4096, devices: [...devices, device('globalstate', 104)] };
  return Buffer.concat([...sections, globalState(99), EOF, description(json)]);
}

function device(name: string, size: number): unknown {
  return { name, instance_id: 0, vmsd_name: name, version: 1, fields: [{ name: 'all', type: 'buffer', size }] };
}

function readAll(bytes: Uint8Array, piece: number, isAll = false): OpaqueDevices | null {
  const reader = new OpaqueDeviceReader();
  let found: OpaqueDevices | null = null;
  for (let from = 0; from < bytes.length; from += piece) {
    reader.append(bytes.subarray(from, from + piece));
    found = reader.read(false);
  }
  return isAll ? reader.read(true) : found;
}

function bodiesOf(found: OpaqueDevices | null): string[] | undefined {
  return found?.sections.map((section) => Buffer.from(section.body).toString('hex'));
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof StreamError) return error.code;
    throw error;
  }
  return 'none';
}

const GLOBAL = globalStateBody('running').toString('hex');
const PIECES = [1, 3, 64, 2 ** 20];

/** Bodies with bytes that look like the end of their section. */
const FALSE_ENDS: readonly (readonly [string, Buffer])[] = [
  [
    'a footer and a section',
    Buffer.concat([Buffer.alloc(4), footer(10), head(4, { id: 55, idstr: 'false' }), Buffer.alloc(9)]),
  ],
  [
    'a whole other section',
    Buffer.concat([footer(10), full({ id: 56, idstr: 'false' }, Buffer.alloc(5)), Buffer.alloc(2)]),
  ],
  ['a footer and the next section', Buffer.concat([u8(1), footer(10), head(4, { id: 11, idstr: 'dev1' }), u8(2)])],
  ['a footer and an end mark', Buffer.concat([u8(1), footer(10), EOF, u8(6), Buffer.alloc(40, 0xff)])],
  ['its own footer twice', Buffer.concat([footer(10), footer(10), u8(4)])],
];

describe('sections of unknown devices', () => {
  it.each(PIECES)('are separated in pieces of %i bytes', (piece) => {
    const bodies = [Buffer.from('00', 'hex'), Buffer.alloc(300, 7), Buffer.from('7e0000000a', 'hex')];
    const found = readAll(tail(bodies), piece);

    expect(bodiesOf(found)).toEqual([...bodies.map((body) => body.toString('hex')), GLOBAL]);
    expect(found?.sections.map(({ sectionId }) => sectionId)).toEqual([10, 11, 12, 99]);
  });

  it.each(FALSE_ENDS)('end at the size of the description, even if a body contains %s', (_what, body) => {
    for (const piece of PIECES) {
      expect(bodiesOf(readAll(tail([body, u8(5)]), piece))).toEqual([body.toString('hex'), '05', GLOBAL]);
    }
  });

  it('end at the size of the description, even if a body contains a complete description', () => {
    const body = Buffer.concat([u8(1), footer(10), EOF, description({ devices: [] }), u8(1)]);

    expect(bodiesOf(readAll(tail([body, u8(5)]), 2 ** 20))).toEqual([body.toString('hex'), '05', GLOBAL]);
  });

  it('end at their footers if the description has no size or a wrong size', () => {
    const bodies = [Buffer.alloc(30, 1), Buffer.alloc(40, 2)];
    const expected = [...bodies.map((body) => body.toString('hex')), GLOBAL];

    expect(bodiesOf(readAll(tail(bodies, [31, 40]), 64))).toEqual(expected);
    expect(bodiesOf(readAll(tail(bodies, [30]), 64))).toEqual(expected);
    expect(bodiesOf(readAll(tail(bodies, [2 ** 52, 2 ** 52]), 64))).toEqual(expected);
  });

  it('are refused if neither sizes nor footers lead to the end mark', () => {
    const [, body] = FALSE_ENDS[0] as readonly [string, Buffer];

    expect(codeOf(() => readAll(tail([body, u8(5)], [3, 1]), 2 ** 20))).toBe('section_size_unclear');
  });

  it('are refused with a footer of another section', () => {
    const bytes = Buffer.concat([
      head(4, { id: 10, idstr: 'dev0' }),
      Buffer.alloc(8),
      footer(11),
      globalState(99),
      EOF,
      description({ devices: [device('dev0', 8), device('globalstate', 104)] }),
    ]);

    expect(codeOf(() => readAll(bytes, 50))).toBe('section_size_unclear');
  });

  it('may lack the description only after globalstate and only at the end of the stream', () => {
    const devices = full({ id: 10, idstr: 'dev0' }, Buffer.alloc(20));
    const whole = Buffer.concat([devices, globalState(99), EOF]);

    expect(readAll(whole, 64, false)).toBeNull();
    expect(bodiesOf(readAll(whole, 64, true))).toEqual(['00'.repeat(20), GLOBAL]);
    expect(readAll(whole.subarray(0, -1), 64, true)).toBeNull();
    expect(readAll(Buffer.concat([devices, EOF]), 64, true)).toBeNull();
    expect(codeOf(() => readAll(Buffer.concat([whole, u8(7)]), 64, true))).toBe('data_after_end');
  });

  it('are not read if the stream begins with the end mark', () => {
    expect(codeOf(() => readAll(EOF, 1))).toBe('section_missing');
  });

  it('are refused if another element is between them', () => {
    const bytes = Buffer.concat([globalState(99), u8(3)]);

    expect(codeOf(() => readAll(bytes, 64))).toBe('element_unexpected');
  });

  it('are refused with a description that is no JSON', () => {
    const bytes = Buffer.concat([globalState(99), EOF, description('{"devices":')]);

    expect(codeOf(() => readAll(bytes, 64))).toBe('vm_description_broken');
  });

  it('count as progress in complete sections and larger parts, not in bytes', () => {
    const reader = new OpaqueDeviceReader();
    const seen = new Set<number>();
    for (const byte of tail([Buffer.alloc(100)]).subarray(0, 110)) {
      reader.append(u8(byte));
      reader.read(false);
      seen.add(reader.progress);
    }
    expect([...seen]).toEqual([0]);

    reader.append(Buffer.alloc(8192));
    expect(reader.progress).toBe(2);
  });
});

describe('the devices of a recorded QEMU', () => {
  it.each(['pc-10.0-devices', 'q35-10.0', 'pc-7.2', 'isapc-10.0'])('%s are found by footers as by sizes', (name) => {
    const { stream } = readStreamFixture(name);
    const described = read(stream, imagePlan()).loaded;
    const end = stream.lastIndexOf(Buffer.from([0, 6, 0]));
    const guessed = read(stream.subarray(0, end + 1), imagePlan()).loaded;
    if (described?.state.form !== 'image' || guessed?.state.form !== 'image') throw new Error('no image was loaded');

    expect(guessed.state.image.vmDescription).toBeNull();
    expect(guessed.state.image.sections.length).toBeGreaterThan(10);
    expect(guessed.state.image.sections).toEqual(described.state.image.sections);
  });
});
