import { describe, expect, test } from 'vitest';
import { HmpMonitor } from '../../src/hmp/hmp-monitor.ts';
import { type FakeWorld, fakeDomain } from '../domain/fakes/fake-domain.ts';
import { fakeApp } from '../helpers/app.ts';

function world(): FakeWorld & { readonly monitor: HmpMonitor } {
  const made = fakeDomain();
  return { ...made, monitor: new HmpMonitor(made.domain) };
}

async function parameter(monitor: HmpMonitor, name: string): Promise<string | undefined> {
  return (await monitor.run('info migrate_parameters')).split('\n').find((line) => line.startsWith(`${name}: `));
}

describe('a command line', () => {
  test('has exact command names, and short names are names too', async () => {
    const { monitor, domain } = world();
    expect(await monitor.run('s')).toBe('');
    expect(domain.machine.status().running).toBe(false);
    expect(await monitor.run('\tc\n')).toBe('');
    expect(domain.machine.status().running).toBe(true);
    for (const line of ['sto', 'info stat', 'infostatus', '"info" status', 'info "status"', 'Stop', '-', '/']) {
      expect(await monitor.run(line), line).toMatch(/^unknown command: '/);
    }
  });

  test('may contain quoted text with spaces and escapes', async () => {
    const { monitor, domain } = world();
    expect(await monitor.run('migrate_set_parameter tls-hostname "a b\\n\\r\\\\\\"\\\'"')).toBe('');
    expect(domain.settings.parameters()['tls-hostname']).toBe('a b\n\r\\"\'');
    expect(await parameter(monitor, 'tls-hostname')).toBe("tls-hostname: 'a b\\x0a\\x0d\\\"''");
    expect(await monitor.run("migrate_set_parameter tls-hostname a'b")).toBe('');
    expect(domain.settings.parameters()['tls-hostname']).toBe("a'b");
  });

  test.each([
    ['migrate', 'migrate: uri is missing'],
    ['migrate -d -r', 'migrate: uri is missing'],
    ['migrate -x tcp:127.0.0.1:1', "migrate: The command has no option '-x'"],
    ['migrate -', "migrate: The command has no option '-'"],
    ['migrate -d -d tcp:127.0.0.1:1', "migrate: The command has no option '-d'"],
    ['migrate -dr tcp:127.0.0.1:1', "migrate: The command has no argument for 'tcp:127.0.0.1:1'"],
    ['migrate -r -d tcp:127.0.0.1:1', "migrate: The command has no argument for 'tcp:127.0.0.1:1'"],
    ['migrate_set_capability events', 'migrate_set_capability: state is missing'],
    ['migrate_set_capability events ON', "migrate_set_capability: state is 'ON'; it has to be on or off"],
    ['migrate_set_capability events "on"', 'migrate_set_capability: state is \'"on"\'; it has to be on or off'],
    ['migrate_set_parameter tls-hostname "a"b', "migrate_set_parameter: The command has no argument for 'b'"],
    ['savevm "a\\qb"', 'savevm: \\q is not an escape in a string'],
    ['savevm "a\\', 'savevm: The line ends within a string: the closing " is missing'],
    ['info migrate_parameters x', "info migrate_parameters: The command has no argument for 'x'"],
    ['calc_dirty_rate', 'calc_dirty_rate: The line ends where a number is expected'],
    ['calc_dirty_rate -b -r 1', "calc_dirty_rate: 'r' cannot be part of a number"],
    ['calc_dirty_rate -r -b 1', 'calc_dirty_rate: -r and -b exclude each other'],
  ])('%s is refused, and the answer names the invalid argument', async (line, message) => {
    const { monitor, engine } = world();
    const { text, isCommand } = await monitor.answer(line);
    const path = message.slice(0, message.indexOf(':'));
    expect([text, isCommand]).toEqual([`${message}\nTry "help ${path}" for more information\n`, false]);
    expect(engine.outgoing).toEqual([]);
  });
});

describe('settings', () => {
  test('keep 64-bit values exactly', async () => {
    const { monitor, domain } = world();
    for (const name of ['vcpu-dirty-limit', 'max-postcopy-bandwidth']) {
      expect(await monitor.run(`migrate_set_parameter ${name} 18446744073709551615`)).toBe('');
      expect(await parameter(monitor, name)).toMatch(/^\S+ 18446744073709551615( MB\/s)?$/);
    }
    domain.settings.setParameters({ 'max-bandwidth': 2n ** 64n - 1n });
    expect(await parameter(monitor, 'max-bandwidth')).toBe('max-bandwidth: 18446744073709551615 bytes/second');
  });

  test('that are refused are reported and unchanged', async () => {
    const { monitor } = world();
    const before = await monitor.run('info migrate_parameters');
    for (const line of ['downtime-limit 2000001', 'foo 1', '__proto__ 1', 'max-bandwidth -1', 'multifd-channels 256']) {
      expect(await monitor.run(`migrate_set_parameter ${line}`), line).toMatch(/^Error: .+\n$/);
    }
    expect(await monitor.run('migrate_set_capability foo on')).toMatch(/^Error: .+\n$/);
    expect(await monitor.run('info migrate_parameters')).toBe(before);
  });
});

describe('migrate', () => {
  test('with -d answers at once', async () => {
    const { monitor, outgoing, domain } = world();
    expect(await monitor.run('migrate -d tcp:127.0.0.1:1')).toBe('');
    outgoing().step('active');
    expect(domain.migration.query().status).toBe('active');
    expect(await monitor.run('migrate -d tcp:127.0.0.1:1')).toMatch(/^Error: /);
    const cancelled = monitor.run('migrate_cancel');
    outgoing().letGo();
    expect(await cancelled).toBe('');
    expect(await monitor.run('migrate_cancel')).toBe('');
  });

  test('passes the context of its door on', async () => {
    const { monitor } = world();
    const begun: unknown[] = [];
    await monitor.run('migrate -d tcp:127.0.0.1:1', { context: { begun: (row) => begun.push(row) } });
    expect(begun).toMatchObject([{ direction: 'outgoing', uri: 'tcp:127.0.0.1:1' }]);
  });

  test('without -d answers at the end, and prints its progress until then', async () => {
    const { outgoing, domain } = await fakeApp();
    const monitor = new HmpMonitor(domain, { progressEveryMs: 5 });
    const told: string[] = [];
    const { promise: heard, resolve } = Promise.withResolvers<void>();
    const progress = (text: string): void => {
      told.push(text);
      resolve();
    };
    const answer = monitor.run('migrate tcp:127.0.0.1:1', { progress });
    outgoing().step('active');
    await heard;
    expect(told[0]).toMatch(/^Migration status: active, \d+(\.\d+)?% of the first pass, pass \d+, .* mbps\n$/);
    outgoing().finish('failed', { code: 'connection_refused', message: 'Nobody\nlistens.' });
    expect(await answer).toBe('Error: Nobody\\x0alistens.\n');
    expect(await monitor.run('migrate_cancel')).toBe('Nothing was cancelled: already-failed\n');
  });

  test('stops waiting when its caller has disconnected', async () => {
    const { outgoing, domain } = await fakeApp();
    const monitor = new HmpMonitor(domain, { progressEveryMs: 5 });
    const gone = new AbortController();
    const left = monitor.run('migrate tcp:127.0.0.1:1', { signal: gone.signal });
    gone.abort();
    expect(await left).toBe('The migration continues.\n');
    outgoing().finish('failed');
  });

  test('stops waiting when an operator is needed', async () => {
    const { outgoing, domain } = await fakeApp();
    const monitor = new HmpMonitor(domain, { progressEveryMs: 5 });
    const answer = monitor.run('migrate tcp:127.0.0.1:1');
    outgoing().step('active');
    outgoing().step('pre-switchover');
    expect(await answer).toBe('Migration status: pre-switchover\n');
    expect(await monitor.run('migrate_continue pre-switchover')).toBe('');
    expect(outgoing().continued).toBe(1);
  });
});

describe('snapshots', () => {
  test('print the progress of a save, and the answer at its end', async () => {
    const { domain, blocks } = await fakeApp();
    const monitor = new HmpMonitor(domain, { progressEveryMs: 5 });
    const gate = blocks.hold('digests');
    const { promise: heard, resolve } = Promise.withResolvers<string>();
    const answer = monitor.run('savevm before', { progress: (text) => text.includes(' of ') && resolve(text) });
    expect(await heard).toMatch(/^savevm: running, \d+ of \d+ bytes\n$/);
    gate.open();
    expect(await answer).toBe('');
    expect(await monitor.run('info snapshots')).toMatch(/^List of .*:\nID .*\n-- {6}before .*\n$/);
    expect(await monitor.run('loadvm nothing')).toMatch(/^Error: .*\n$/);
    expect(await monitor.run('delvm before')).toBe('');
    expect(await monitor.run('delvm before')).toBe('');
    expect(await monitor.run('info snapshots')).toBe('There is no snapshot available.\n');
    expect(await monitor.run('info jobs')).toBe('No active jobs\n');
  });
});

describe('help', () => {
  test('lists every command by its name, or one command', async () => {
    const { monitor } = world();
    const names = (await monitor.run('help')).split('\n').flatMap((line) => /^(\S+) .*-- /.exec(line)?.[1] ?? []);
    expect(names).toEqual([...new Set(names)].sort());
    expect(names).toContain('migrate_set_parameter');
    expect(await monitor.run('?')).toBe(await monitor.run('help'));
    expect(await monitor.run('help c')).toBe(await monitor.run('help cont'));
    expect(await monitor.run('help migrate')).toMatch(
      /^migrate \[-d\] \[-r\] uri -- .*\n\t\t\t -d: .*\n\t\t\t -r: .*\n$/,
    );
    expect(await monitor.run('info')).toBe(await monitor.run('help info'));
    expect(await monitor.run('help info migrate')).toMatch(/^info migrate \[-a\] -- /);
    expect(await monitor.run('help foo')).toBe("unknown command: 'foo'\n");
    expect(await monitor.run('help "mig')).toMatch(/^The line ends within a string/);
    for (const name of names) expect(await monitor.run(`help ${name}`), name).toContain(name);
  });
});

describe('completion', () => {
  test.each([
    ['migrate_c', ['migrate_cancel', 'migrate_continue']],
    ['info migrate_', ['migrate_capabilities', 'migrate_parameters']],
    ['help info st', ['status']],
    ['migrate_set_capability post', ['postcopy-ram', 'postcopy-blocktime', 'postcopy-preempt']],
    ['migrate_set_capability events ', ['on', 'off']],
    ['migrate_set_parameter max-', ['max-bandwidth', 'max-postcopy-bandwidth', 'max-cpu-throttle']],
    ['migrate_set_parameter multifd-compression z', ['zlib', 'zstd']],
    ['migrate_set_parameter direct-io o', ['on', 'off']],
    ['migrate -', ['-d', '-r']],
    ['migrate -d -', ['-r']],
    ['migrate -d t', ['tcp:']],
    ['migrate_continue pre', ['pre-switchover']],
    ['loadvm be', ['before']],
    ['foo ', []],
    ['stop ', []],
    ['migrate_set_parameter "', []],
  ])('of %j offers %j', (line, words) => {
    const { monitor, blocks } = world();
    blocks.put('disk0', { tag: 'before' });
    expect(monitor.complete(line)).toEqual(words);
  });
});
