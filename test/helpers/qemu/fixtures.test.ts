import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readStreamFixture, streamFixtureNames } from './fixtures.ts';

/** PONG 1, then SHUT without an error. */
const RETURN_PATH_ONLY = '00020004000000010001000400000000';
const SWITCHOVER_ACK = '00070000';
const RECORDED_BY_7_2 = ['pc-7.2', 'pc-7.2-uuid', 'pc-7.2-return-path'];

describe('the recorded streams', () => {
  it.each(streamFixtureNames())('of %s have the recorded digest', (name) => {
    const { stream, facts } = readStreamFixture(name);

    expect(stream.subarray(0, 8).toString('hex')).toBe('5145564d00000003');
    expect(stream.length).toBe(facts.bytes);
    expect(createHash('sha256').update(stream).digest('hex')).toBe(facts.sha256);
    expect(facts.queryMigrate.status).toBe('completed');
  });

  it.each(streamFixtureNames())('of %s have as many bytes as QEMU reports as transferred', (name) => {
    const { stream, facts } = readStreamFixture(name);
    const ram = facts.queryMigrate.ram as { transferred: number; 'precopy-bytes': number };

    // QEMU 7.2 counts the RAM records only.
    const countsAll = !RECORDED_BY_7_2.includes(name);
    expect(ram.transferred).toBe(countsAll ? stream.length : ram['precopy-bytes']);
  });

  it('include the answers of the target if there was a return path', () => {
    expect(readStreamFixture('pc-10.0-return-path').returnPath?.toString('hex')).toBe(RETURN_PATH_ONLY);
    expect(readStreamFixture('pc-7.2-return-path').returnPath?.toString('hex')).toBe(RETURN_PATH_ONLY);
    const acknowledged = readStreamFixture('pc-10.0-switchover-ack').returnPath?.toString('hex');
    expect(acknowledged).toBe(SWITCHOVER_ACK + RETURN_PATH_ONLY);
    expect(readStreamFixture('pc-10.0').returnPath).toBeNull();
  });
});
