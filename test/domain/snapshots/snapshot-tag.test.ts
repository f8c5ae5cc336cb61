import { describe, expect, it } from 'vitest';
import { checkTag, shown, TAG_BYTES_MAX } from '../../../src/domain/snapshots/snapshot-tag.ts';
import { refusalOf } from '../fakes/refusal.ts';

describe('the tag of a new snapshot', () => {
  it.each([
    'a',
    'nightly-2026-11-24',
    'with a space',
    '-h',
    'vm-20261124022908',
    '7a',
    '...',
    'é',
    'e\u0301',
    '💾',
    'a/b',
    'x'.repeat(TAG_BYTES_MAX),
    'é'.repeat(127),
  ])('may be %j', (tag) => {
    expect(refusalOf(() => checkTag(tag))).toBeNull();
  });

  it.each([
    ['', 'empty'],
    ['x'.repeat(TAG_BYTES_MAX + 1), '256 bytes'],
    ['é'.repeat(128), '256 bytes'],
    ['a\nb', 'control'],
    ['\u0000', 'control'],
    ['\u007f', 'control'],
    ['\u0085', 'control'],
    ['\ud800', 'surrogate'],
    ['1', 'digits'],
    ['0123456789', 'digits'],
    ['.', 'URL'],
    ['..', 'URL'],
  ])('may not be %j, and the error has the reason', (tag, word) => {
    const refusal = refusalOf(() => checkTag(tag));
    expect(refusal).toMatchObject({ code: 'invalid_tag', kind: 'invalid', violations: [{ pointer: '/tag' }] });
    expect(refusal?.message).toContain(word);
  });

  it('is shown completely if it is short, and cut if it is long', () => {
    expect(shown('a"b')).toBe('"a\\"b"');
    expect(shown('x'.repeat(1000)).length).toBeLessThan(100);
  });
});
