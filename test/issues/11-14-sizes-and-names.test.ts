// Each door had its own parser of sizes: the client accepted `64M` but not `1.5G`, the flags accepted neither, the
// text monitor both, and file addresses accepted `16MB`, which QEMU refuses. An unknown name was refused with all
// known names or with none, so the user had to find the misspelling. Now all doors share one parser of sizes and one
// search for the nearest name.

import { describe, expect, test } from 'vitest';
import { ConfigError, readInvocation } from '../../src/config.ts';
import { nearest } from '../../src/text/nearest.ts';
import { startApp, testConfig } from '../helpers/app.ts';
import { listeningService, runCommand } from '../helpers/client-here.ts';
import { shared } from '../helpers/shared.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const service = shared(() => listeningService(['--ram', '1.5M', '--set', 'avail-switchover-bandwidth=1.5G']));

/** The output of `vmferry set NAME=`. */
async function valueAfter(assignment: string): Promise<string> {
  const { status, output, errors } = await runCommand(service(), ['set', assignment]);
  expect([status, errors]).toEqual([0, '']);
  return output.trim();
}

describe('a size with a fraction', () => {
  test.each([
    ['max-bandwidth=1.5G', 'max-bandwidth=1610612736'],
    ['max-bandwidth=.5k', 'max-bandwidth=512'],
    ['max-bandwidth=1.0', 'max-bandwidth=1'],
    ['max-postcopy-bandwidth=2.25m', 'max-postcopy-bandwidth=2359296'],
    ['xbzrle-cache-size=0.5G', 'xbzrle-cache-size=536870912'],
    ['max-bandwidth=1.5T', 'max-bandwidth=1649267441664'],
  ])('is read by the client as by QEMU: %s', async (assignment, expected) => {
    expect(await valueAfter(assignment)).toBe(expected);
  });

  test('is accepted by --ram, --workload and --set', async () => {
    const { ramBytes, workload } = testConfig(['--ram', '1.5G', '--workload', 'rate=0.5M,span=1.5M']).machine;
    expect([ramBytes, workload.rate, workload.span]).toEqual([1.5 * GIB, 0.5 * MIB, 1.5 * MIB]);
    const { output } = await runCommand(service(), ['set', '--json']);
    expect(JSON.parse(output)).toMatchObject({ 'avail-switchover-bandwidth': 1.5 * GIB });
  });
});

describe('a value with an invalid suffix', () => {
  test.each([
    ['max-bandwidth=5X', 'max-bandwidth is a size such as 4096, 512k or 1.5G'],
    ['max-bandwidth=1.5', 'max-bandwidth is a size such as 4096, 512k or 1.5G'],
    ['max-bandwidth=5MB', 'max-bandwidth is a size such as 4096, 512k or 1.5G'],
    ['downtime-limit=1s', 'downtime-limit is a whole number of milliseconds, without a unit'],
    ['announce-step=1.5M', 'announce-step is a whole number of milliseconds, without a unit'],
    ['max-cpu-throttle=50%', 'max-cpu-throttle is a whole number of percent, without a unit'],
    ['multifd-channels=2k', 'multifd-channels is a whole number without a unit'],
    ['cpu-throttle-tailslow=perhaps', 'cpu-throttle-tailslow is on or off'],
  ])('is refused by the client with the allowed form: %s', async (assignment, said) => {
    const ran = await runCommand(service(), ['set', assignment]);
    expect([ran.status, ran.output]).toEqual([4, '']);
    expect(ran.errors).toContain(said);
  });

  test.each([
    [['--ram', '5X'], '--ram must be a size such as 4096, 512k or 1.5G'],
    [['--workload', 'rate=1s'], '--workload rate must be a size'],
    [['--drain-timeout', '1s'], 'from 0 to 86400 (without a unit), not "1s"'],
  ])('is refused at the start with the allowed form: %j', (flags, said) => {
    expect(() => readInvocation(['serve', ...flags], '1.2.3', {})).toThrow(said);
  });
});

describe('a misspelt name', () => {
  test.each([
    ['set', 'max-bandwith=1', 'max-bandwidth'],
    ['set', 'downtime_limit=1', 'downtime-limit'],
    ['enable', 'return-paht', 'return-path'],
    ['disable', 'Multifd', 'multifd'],
  ])('of vmferry %s %s is refused with the nearest name', async (verb, word, meant) => {
    const ran = await runCommand(service(), [verb, word]);
    expect([ran.status, ran.output]).toEqual([4, '']);
    expect(ran.errors).toContain(`did you mean ${meant}?`);
  });

  test('is refused by the text monitor with the nearest name', async () => {
    const ran = await runCommand(service(), ['monitor'], { input: 'migrate_set_parameter max-bandwith 1\n' });
    expect(ran.output).toContain('Did you mean max-bandwidth?');
  });

  test.each([
    [['--set', 'max-bandwith=1'], 'Did you mean max-bandwidth?'],
    [['--enable', 'return-paht'], 'Did you mean return-path?'],
  ])('of a setting is refused at the start with the nearest name: %j', async (flags, said) => {
    await expect(startApp(testConfig([...flags, '--ram', '1M']))).rejects.toThrow(said);
  });

  test.each([
    [['--htpp', '127.0.0.1:0'], 'unknown flag --htpp; did you mean --http?'],
    [['--workloda=rate=1'], 'unknown flag --workloda; did you mean --workload?'],
    [['--pasued'], 'unknown flag --pasued; did you mean --paused?'],
    [['--nonsense'], 'unknown flag --nonsense; see vmferry serve --help'],
  ])('of a flag of the service is refused with the nearest name: %j', (flags, said) => {
    const read = () => readInvocation(['serve', ...flags], '1.2.3', {});
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(said);
  });

  test('of a variable of the service is refused with the nearest name', () => {
    expect(() => readInvocation(['serve'], '1.2.3', { VMFERRY_DTA: '/d' })).toThrow('did you mean VMFERRY_DATA?');
  });

  test('gets the nearest name as a suggestion, and none if no name is near', () => {
    const names = ['multifd', 'multifd-channels', 'mapped-ram', 'events'];
    expect(nearest('multfid', names)).toBe('multifd');
    expect(nearest('MULTIFD_CHANELS', names)).toBe('multifd-channels');
    expect([nearest('', names), nearest('x', names), nearest('a'.repeat(10_000), names)]).toEqual([null, null, null]);
    expect(nearest('even', ['ever', 'evenx'])).toBe('ever');
  });
});
