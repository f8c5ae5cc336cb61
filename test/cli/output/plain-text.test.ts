import { describe, expect, test } from 'vitest';
import { RateMeter } from '../../../src/cli/client-work.ts';
import { snapshotTable } from '../../../src/cli/commands/snapshot.ts';
import { clockText, durationText, oneLine, sizeText } from '../../../src/cli/output/plain-text.ts';

describe('texts for people', () => {
  test.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KiB'],
    [2 ** 20 - 1, '1.0 MiB'],
    [268_435_456, '256.0 MiB'],
    [2 ** 60, '1024.0 PiB'],
  ])('a size of %i bytes reads %s', (bytes, text) => {
    expect(sizeText(bytes)).toBe(text);
  });

  test.each([
    [0, '0.0 s'],
    [449, '0.4 s'],
    [59_940, '59.9 s'],
    [59_960, '1 min 0 s'],
    [125_400, '2 min 5 s'],
    [3_599_900, '1 h 0 min'],
    [12_000_000, '3 h 20 min'],
  ])('a duration of %i ms reads %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });

  test.each([
    [-5, '0:00'],
    [1, '0:01'],
    [61_000, '1:01'],
    [3_723_000, '1:02:03'],
  ])('%i ms read %s on a clock', (ms, text) => {
    expect(clockText(ms)).toBe(text);
  });

  test('an external text is one line without control characters', () => {
    expect(oneLine(' a\r\n\tb\u001b[31mc\u0085d\u2028e ')).toBe('a b [31mc d e');
  });
});

describe('a rate', () => {
  test('is null with one sample, or with two samples in a short time', () => {
    const meter = new RateMeter();
    meter.add({ atMs: 0, bytes: 0 });
    expect(meter.bytesPerSecond()).toBeNull();
    meter.add({ atMs: 50, bytes: 1000 });
    expect(meter.bytesPerSecond()).toBeNull();
  });

  test('is measured over the last three seconds', () => {
    const meter = new RateMeter();
    for (let second = 0; second <= 10; second += 1) meter.add({ atMs: 1000 * second, bytes: second ** 2 * 1000 });
    expect(meter.bytesPerSecond()).toBeCloseTo((100_000 - 49_000) / 3);
  });

  test('starts again after the count has decreased', () => {
    const meter = new RateMeter();
    meter.add({ atMs: 0, bytes: 1000 });
    meter.add({ atMs: 1000, bytes: 500 });
    meter.add({ atMs: 2000, bytes: 700 });
    expect(meter.bytesPerSecond()).toBe(200);
  });
});

describe('the table of snapshots', () => {
  test('has only a line of titles if there are no snapshots', () => {
    expect(snapshotTable([])).toMatch(/^TAG +DATE[^\n]*\n$/);
  });

  test('has a dash for a missing value, and no control characters', () => {
    expect(snapshotTable([{ tag: 'a\u001bb' }])).toMatch(/\na b +(?:- +){5}-\n$/);
  });

  test('shows the snapshots with remarks on their reliability', () => {
    const nodes = [{ name: 'disk0' }, { name: 'disk1' }];
    const warm = { tag: 'warm', date: '2026-11-24T02:15:26.123Z', 'vm-state-size': 2 ** 28, 'vm-clock': 61e9, nodes };
    const sound = { ...warm, vmstate: 'disk0', consistent: true, 'has-digests': true };
    const odd = { ...warm, tag: 'x', vmstate: null, consistent: false, 'has-digests': false };
    expect(snapshotTable([sound, odd]).split('\n')).toEqual([
      'TAG   DATE                  VM STATE   RAM  VCPUS  VM CLOCK  NODES        REMARKS',
      'warm  2026-11-24T02:15:26Z  256.0 MiB  -    -      1:01      disk0,disk1',
      'x     2026-11-24T02:15:26Z  256.0 MiB  -    -      1:01      disk0,disk1  disks only, inconsistent, without digests',
      '',
    ]);
  });
});
