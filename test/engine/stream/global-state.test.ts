import { describe, expect, it } from 'vitest';
import {
  decodeGlobalState,
  encodeGlobalState,
  GLOBAL_STATE_BYTES,
  GLOBAL_STATE_FIELDS,
} from '../../../src/engine/stream/global-state.ts';
import { refusal } from './decoding.ts';
import { globalStateBody } from './stream-builder.ts';

describe('globalstate', () => {
  it.each(['running', 'paused', 'prelaunch', 'suspended', 'finish-migrate'])('carries the run state %s', (state) => {
    expect(Buffer.from(encodeGlobalState(state)).equals(globalStateBody(state))).toBe(true);
    expect(decodeGlobalState(encodeGlobalState(state))).toBe(state);
  });

  it('has fields that are as long as its body', () => {
    expect(GLOBAL_STATE_FIELDS.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(GLOBAL_STATE_BYTES);
  });

  it.each([
    ['a body that is too short', Buffer.alloc(103)],
    ['a body that is too long', Buffer.alloc(105)],
    ['no name', Buffer.alloc(104)],
    ['a name without an end', Buffer.alloc(104, 'x')],
    ['a name that is no word', globalStateBody('Run ning')],
  ])('is refused with %s', (_what, body) => {
    expect(refusal(body, () => decodeGlobalState(body))).toBe('global_state_broken');
  });

  it('has no room for a name of 32 characters', () => {
    expect(decodeGlobalState(encodeGlobalState('x'.repeat(31)))).toBe('x'.repeat(31));
    expect(() => encodeGlobalState('x'.repeat(32))).toThrow(/longer than 31/);
  });
});
