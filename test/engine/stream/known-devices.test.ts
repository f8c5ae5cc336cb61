import { describe, expect, it } from 'vitest';
import { ByteReader, IncompleteError, StreamError } from '../../../src/engine/stream/bytes.ts';
import {
  decodeGlobalState,
  encodeGlobalState,
  GLOBAL_STATE_BYTES,
  GLOBAL_STATE_FIELDS,
  KnownDevices,
} from '../../../src/engine/stream/known-devices.ts';
import { refusal } from './decoding.ts';
import { SmallMachine } from './reading.ts';
import { globalStateBody } from './stream-builder.ts';

const GLOBAL = { sectionId: 9, idstr: 'globalstate', instanceId: 0, versionId: 1 };
const CLOCK = { sectionId: 3, idstr: 'clock', instanceId: 0, versionId: 1 };
const PORT = { sectionId: 4, idstr: 'port', instanceId: 3, versionId: 2 };

function devices(): KnownDevices {
  return new KnownDevices(new SmallMachine().devices);
}

function take(known: KnownDevices, head: typeof CLOCK, body: Uint8Array): void {
  known.read(head, new ByteReader(body))();
}

function codeOf(work: () => void): string {
  try {
    work();
  } catch (error) {
    if (error instanceof StreamError) return error.code;
    throw error;
  }
  return 'none';
}

describe('known devices', () => {
  it('are collected in the order of the machine, in any order of the stream', () => {
    const known = devices();
    take(known, GLOBAL, globalStateBody('paused'));
    take(known, PORT, Buffer.alloc(21, 2));
    take(known, CLOCK, Buffer.alloc(8, 1));

    const { globalState, bodies } = known.finish();
    expect(globalState).toBe('paused');
    expect(bodies.map((body) => [body.length, body[0]])).toEqual([
      [8, 1],
      [21, 2],
    ]);
  });

  it('are stored as copies, after their footer was checked', () => {
    const known = devices();
    const bytes = Buffer.alloc(8, 1);
    const apply = known.read(CLOCK, new ByteReader(bytes));
    bytes.fill(9);
    expect(codeOf(() => known.finish())).toBe('section_missing');

    apply();
    take(known, PORT, Buffer.alloc(21));
    take(known, GLOBAL, globalStateBody('running'));
    expect([...(known.finish().bodies[0] ?? [])]).toEqual(Array(8).fill(1));
  });

  it('are incomplete until their body is complete', () => {
    expect(() => take(devices(), CLOCK, Buffer.alloc(7))).toThrow(IncompleteError);
    expect(() => take(devices(), GLOBAL, Buffer.alloc(103))).toThrow(IncompleteError);
  });

  it('are refused if unknown, of another version, repeated or missing', () => {
    const known = devices();
    take(known, CLOCK, Buffer.alloc(8));

    expect(codeOf(() => take(known, { ...CLOCK, instanceId: 1 }, Buffer.alloc(8)))).toBe('section_unknown');
    expect(codeOf(() => take(known, { ...PORT, versionId: 1 }, Buffer.alloc(21)))).toBe('section_version');
    expect(codeOf(() => take(known, { ...GLOBAL, versionId: 2 }, Buffer.alloc(104)))).toBe('section_version');
    expect(codeOf(() => take(known, CLOCK, Buffer.alloc(8)))).toBe('section_duplicate');
    expect(codeOf(() => known.finish())).toBe('section_missing');
    take(known, PORT, Buffer.alloc(21));
    expect(codeOf(() => known.finish())).toBe('section_missing');
    take(known, GLOBAL, globalStateBody('running'));
    expect(codeOf(() => take(known, GLOBAL, globalStateBody('running')))).toBe('section_duplicate');
  });
});

describe('globalstate', () => {
  it.each(['running', 'paused', 'prelaunch', 'suspended', 'finish-migrate'])('carries the run state %s', (state) => {
    expect(Buffer.from(encodeGlobalState(state)).equals(globalStateBody(state))).toBe(true);
    expect(decodeGlobalState(encodeGlobalState(state))).toBe(state);
  });

  it('has fields with the total length of its body', () => {
    expect(GLOBAL_STATE_FIELDS.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(GLOBAL_STATE_BYTES);
  });

  it.each([
    ['a body that is too short', Buffer.alloc(103)],
    ['a body that is too long', Buffer.alloc(105)],
    ['no name', Buffer.alloc(104)],
    ['a name without an end', Buffer.alloc(104, 'x')],
    ['an invalid name', globalStateBody('Run ning')],
  ])('is refused with %s', (_what, body) => {
    expect(refusal(body, () => decodeGlobalState(body))).toBe('global_state_broken');
  });

  it('has no space for a name of 32 characters', () => {
    expect(decodeGlobalState(encodeGlobalState('x'.repeat(31)))).toBe('x'.repeat(31));
    expect(() => encodeGlobalState('x'.repeat(32))).toThrow(/longer than 31/);
  });
});
