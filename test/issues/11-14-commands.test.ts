// Many operations of the HTTP interface had no command. To stop the guest, to listen for a migration or to read the
// history a user needed curl or QMP. Options were accepted only after the command, because earlier words were parsed
// as flags of the service. These tests run each command against a real service.

import { describe, expect, test } from 'vitest';
import { listeningService, runCommand } from '../helpers/client-here.ts';
import { shared } from '../helpers/shared.ts';

const service = shared(() => listeningService(['--ram', '1M', '--workload', 'rate=64k,span=64k']));
const target = shared(() => listeningService(['--ram', '1M', '--incoming', 'defer']));

/** The output of `vmferry WORDS`, which must succeed. */
async function outputOf(words: readonly string[], url = service()): Promise<string> {
  const { status, output, errors } = await runCommand(url, words);
  expect([status, errors]).toEqual([0, '']);
  return output;
}

async function refusalOf(words: readonly string[], url = service()): Promise<string> {
  const { status, output, errors } = await runCommand(url, words);
  expect([status, output]).toEqual([4, '']);
  return errors;
}

describe('the guest', () => {
  test('is stopped by stop and resumed by cont, which print its run state', async () => {
    expect(await outputOf(['stop'])).toBe('stopped (paused)\n');
    expect(await outputOf(['cont', '--json'])).toBe('{"running":true,"status":"running"}\n');
    expect(await outputOf(['cont'])).toBe('running (running)\n');
  });

  test('has a console that console prints', async () => {
    expect(await outputOf(['console'])).toMatch(/^vmferry synthetic guest: 1 MiB of RAM/);
    expect(JSON.parse(await outputOf(['console', '--json']))).toEqual({ text: expect.stringMatching(/^vmferry/) });
  });

  test('has a workload that workload changes, with sizes in the usual forms', async () => {
    expect(await outputOf(['workload', 'rate=1.5k', 'pattern=seq'])).toContain('rate=1536\nspan=65536\npattern=seq\n');
    expect(JSON.parse(await outputOf(['workload', '--json']))).toMatchObject({ rate: 1536, pattern: 'seq' });
    expect(await refusalOf(['workload', 'rate=1s'])).toContain('rate is a size such as 4096, 512k or 1.5G');
    expect(await refusalOf(['workload', 'patern=hot'])).toContain('did you mean pattern?');
    expect(await outputOf(['workload', 'rate=64k', 'pattern=hot'])).toContain('rate=65536\n');
  });

  test('has a dirty rate that dirty-rate measures', async () => {
    expect(await outputOf(['dirty-rate', '--time', '0.05'])).toMatch(/^\d+ MiB\/s \(page-sampling, in 0\.\d+ s\)\n$/);
    const exact = ['dirty-rate', '--time', '0.05', '--mode', 'dirty-bitmap', '--json'];
    expect(JSON.parse(await outputOf(exact))).toMatchObject({ status: 'measured', mode: 'dirty-bitmap' });
    expect(await outputOf(['dirty-rate', '--last'])).toContain('dirty-bitmap');
    const wrong = await runCommand(service(), ['dirty-rate', '--time', '61']);
    expect([wrong.status, wrong.errors]).toEqual([2, expect.stringContaining('from 0.05 to 60 seconds')]);
    const none = await runCommand(target(), ['dirty-rate', '--last']);
    expect([none.status, none.errors]).toEqual([1, expect.stringContaining('nothing has been measured yet')]);
  });
});

describe('a migration', () => {
  test('is forbidden after blockers add, and allowed again after blockers remove', async () => {
    const id = (await outputOf(['blockers', 'add', 'A backup is made.'])).trim();
    expect(await outputOf(['blockers'])).toBe(`${id}: A backup is made.\n`);
    expect(await refusalOf(['migrate', 'file:blocked'])).toContain('A backup is made.');
    expect(await outputOf(['blockers', 'remove', id])).toBe('');
    expect(JSON.parse(await outputOf(['blockers', '--json']))).toMatchObject({ blockers: [] });
    expect(await refusalOf(['blockers', 'remove', id])).toContain('blocker_not_found');
  });

  test('is no longer expected after incoming --end', async () => {
    await outputOf(['incoming', 'tcp:127.0.0.1:0'], target());
    expect(await outputOf(['incoming', '--end'], target())).toBe('');
    expect(await refusalOf(['incoming', '--end'], target())).toContain('not_expecting_incoming');
    for (const words of [['incoming'], ['incoming', 'tcp:127.0.0.1:0', '--end']]) {
      const { status, errors } = await runCommand(target(), words);
      expect([status, errors]).toEqual([2, 'vmferry: incoming needs either URI or --end; see --help\n']);
    }
  });

  test('is accepted by incoming, resumed by continue, and shown by history and show on both sides', async () => {
    const listening = await outputOf(['incoming', 'tcp:127.0.0.1:0'], target());
    const [, uri = '', incoming = ''] =
      /^listening on (tcp:127\.0\.0\.1:\d+): migration (\S+)\n$/.exec(listening) ?? [];
    await outputOf(['enable', 'pause-before-switchover']);
    const id = (await outputOf(['migrate', uri, '--quiet'])).trim();
    const state = async (): Promise<unknown> => JSON.parse(await outputOf(['status', '--json'])).migrate.status;
    await expect.poll(state).toBe('pre-switchover');
    expect(await outputOf(['continue'])).toMatch(/^the migration continues \(/);
    await expect.poll(state).toBe('completed');
    expect(await refusalOf(['continue'])).toContain('not_in_expected_state');

    expect(await outputOf(['history', '--quiet'])).toBe(`${id}\n`);
    const [titles = '', row = ''] = (await outputOf(['history'])).split('\n');
    expect(titles).toMatch(/^ID +DIRECTION +STATUS +ADDRESS +STARTED +TOOK +SENT +DOWNTIME +GUEST +ERROR$/);
    expect(row).toMatch(new RegExp(`^${id} +outgoing +completed +${uri} .* there +-$`));
    const shown = await outputOf(['show', id]);
    expect(shown).toMatch(/^id: .*\ndirection: outgoing\nstatus: completed\n/);
    expect(shown).toMatch(/\nPASS +BEGAN +TOOK +SENT +PAGES +ZERO +DIRTY AFTER\n1 /);
    expect(await outputOf(['show', incoming], target())).toContain('direction: incoming\nstatus: completed\n');
    expect(await refusalOf(['show', 'nonsense'])).toContain('migration_not_found');
  });

  test('and all other changes are listed by audit, newest first', async () => {
    const { audit } = JSON.parse(await outputOf(['audit', '--limit', '2', '--json'])) as { audit: { id: number }[] };
    expect(audit).toHaveLength(2);
    const all = JSON.parse(await outputOf(['audit', '--all', '--json'])) as { audit: { id: number }[] };
    expect(all.audit.slice(0, 2)).toEqual(audit);
    expect(all.audit.length).toBeGreaterThan(10);
    expect(await outputOf(['audit'])).toMatch(/^AT +DOOR +CALLER +ADDRESS +COMMAND +OUTCOME/);
    const wrong = await runCommand(service(), ['audit', '--limit', '0']);
    expect([wrong.status, wrong.errors]).toEqual([2, expect.stringContaining('from 1 to 1000')]);
  });
});

describe('options', () => {
  const NOWHERE = 'http://127.0.0.1:1';

  test.each([
    [['--json', 'status'], '"running"'],
    [['--json', 'snapshot', 'list'], '{"snapshots":[]}'],
    [['snapshot', '--quiet', 'list'], ''],
    [['--limit=1', '--json', 'audit'], '{"audit":[{'],
    [['--history', '--json', 'jobs'], '{"jobs":[]}'],
  ])('may precede their command: %j', async (words, said) => {
    const { status, output, errors } = await runCommand(NOWHERE, ['--url', service(), ...words]);
    expect([status, errors]).toEqual([0, '']);
    expect(output).toContain(said);
  });

  test('that no command has are refused by name', async () => {
    const { status, errors } = await runCommand(NOWHERE, ['--jsno', 'status']);
    expect([status, errors]).toEqual([2, "vmferry: unknown option '--jsno' (Did you mean --json?); see --help\n"]);
  });
});

describe('version', () => {
  test('names this program and the service, and succeeds if no service answers', async () => {
    expect(await outputOf(['version'])).toMatch(
      /^vmferry 0\.0\.0\nservice \d+\.\d+\.\d+ at http:\/\/127\.0\.0\.1:\d+\n$/,
    );
    expect(await outputOf(['version'], 'http://127.0.0.1:1')).toBe('vmferry 0.0.0\n');
    expect(await outputOf(['version', '--json'], 'http://127.0.0.1:1')).toBe('{"version":"0.0.0","service":null}\n');
  });
});
