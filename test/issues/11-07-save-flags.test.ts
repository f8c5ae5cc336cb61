// The options of `snapshot save` were tested only over HTTP. No test ran the flags of the command.

import { describe, expect, test } from 'vitest';
import { EXIT } from '../../src/cli/client-failure.ts';
import { listeningService, runCommand } from '../helpers/client-here.ts';
import { shared } from '../helpers/shared.ts';

const service = shared(() => listeningService(['--ram', '1M', '--workload', 'rate=0', '--vcpus', '1']));

/** The last line of `vmferry snapshot save WORDS --json`. */
async function save(...words: readonly string[]) {
  const { status, output, errors } = await runCommand(service(), ['snapshot', 'save', ...words, '--json']);
  expect([status, errors], output).toEqual([0, '']);
  return JSON.parse(output.trimEnd().split('\n').at(-1)!) as { job: { result: Record<string, unknown> } };
}

async function listed(): Promise<readonly Record<string, unknown>[]> {
  const { output } = await runCommand(service(), ['snapshot', 'list', '--json']);
  const value = JSON.parse(output) as { snapshots: Record<string, unknown>[] };
  return value.snapshots;
}

test('--description, --ttl, --replace, --if-missing and --disk-only have their effects', async () => {
  await save('warm', '--description', 'after the boot', '--ttl', '3600');
  const [first] = await listed();
  expect(first).toMatchObject({
    tag: 'warm',
    description: 'after the boot',
    'expires-at': expect.stringMatching(/Z$/),
  });
  expect((await save('warm', '--if-missing')).job.result).toMatchObject({ existed: true });
  expect(await listed()).toEqual([first]);
  expect((await save('warm', '--replace')).job.result).toMatchObject({ existed: false });
  expect(await listed()).toMatchObject([{ tag: 'warm', description: null, 'expires-at': null }]);
  await save('disks', '--disk-only');
  expect((await listed()).find(({ tag }) => tag === 'disks')).toMatchObject({ 'vm-state-size': 0 });
  const again = await runCommand(service(), ['snapshot', 'save', 'warm']);
  expect([again.status, again.errors]).toEqual([EXIT.refused, expect.stringContaining('snapshot_exists')]);
});

/** Control characters of terminals and tables: a bell, escapes of 7 and 8 bits, line breaks of ASCII and of Unicode. */
const CONTROLS = ['\u0007', '\u001b[2J', '\u009b2J', '\n', '\r', '\u007f', '\u2028', '\u2029'];

describe('an invalid value', () => {
  test.each([
    [['--ttl', '0'], 'ttl'],
    [['--ttl', '-1'], 'ttl'],
    [['--ttl', '1.5'], 'ttl'],
    [['--ttl', 'soon'], 'ttl'],
    [['--ttl', '99999999999999'], 'ttl'],
    [['--ttl', ''], 'ttl'],
    [['--description', ''], 'description'],
    [['--description', 'x'.repeat(201)], 'description'],
    ...CONTROLS.map((character): [string[], string] => [['--description', `a${character}b`], 'one line']),
    [['--replace', '--if-missing'], 'if-missing'],
    [['--disk-only', '--vmstate', 'disk0'], 'disk-only'],
    [['--replace=yes'], 'replace'],
  ])('is refused, and nothing is saved: %j', async (words, named) => {
    const before = await listed();
    const { status, output, errors } = await runCommand(service(), ['snapshot', 'save', 'never', ...words]);
    const isFoundByTheService = words[1]?.length === 201 || named === 'one line';
    expect([status, output], errors).toEqual([isFoundByTheService ? EXIT.refused : EXIT.usage, '']);
    expect(errors).toContain(named);
    expect(await listed()).toEqual(before);
  });
});
