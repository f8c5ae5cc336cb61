// The text monitor compared with that of a real QEMU 10.0: equal answers to equal lines, except for the figures.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type DirtyRate, dirtyRateText, statusText } from '../../src/hmp/formats/machine.ts';
import { migrateText } from '../../src/hmp/formats/migrate.ts';
import { parametersText } from '../../src/hmp/formats/settings.ts';
import { HmpMonitor } from '../../src/hmp/hmp-monitor.ts';
import { temporaryDirectory } from '../helpers/app.ts';
import { combinations } from '../helpers/combinations.ts';
import { describeWithQemu, type Qemu, startQemu } from '../helpers/qemu/qemu.ts';
import { startService } from '../helpers/service.ts';
import { shared } from '../helpers/shared.ts';

const SMALL = ['--ram', '16M', '--workload', 'rate=0'];

/** The answer of QEMU, with LF as the line end. */
async function say(qemu: Qemu, line: string): Promise<string> {
  const text = (await qemu.qmp.execute('human-monitor-command', { 'command-line': line })) as string;
  return text.replaceAll('\r\n', '\n');
}

async function monitorOf(flags: readonly string[] = SMALL): Promise<HmpMonitor> {
  const { app } = await startService(flags);
  return new HmpMonitor(app.domain);
}

/** The text with every number replaced by `0`. */
function withoutFigures(text: string): string {
  return text.replaceAll(/\d+(\.\d+)?/g, '0');
}

/** The text without figures that grow while a migration waits. */
function withoutTimes(text: string): string {
  return text.replace(/^total time: .*$/m, '');
}

/** The text without the time of the request. */
function withoutSeconds(text: string): string {
  return text.replace(/^Start Time: \d+ /m, '');
}

/** Parameters with valid and invalid values, in every form that is parsed differently. */
const SETTINGS: Readonly<Record<string, readonly string[]>> = {
  'max-bandwidth': [
    ...[
      '1',
      '-0',
      '--1',
      '-x',
      '1k',
      '1K',
      '1b',
      '1.5',
      '1.5G',
      '0.5',
      '0',
      '-1',
      '1e3',
      '1E',
      '0x10',
      '0x10M',
      ' 5',
      '"5 "',
      '5x',
      '5MiB',
    ],
    ...[
      'inf',
      'nan',
      '.5',
      '5.',
      '1.1B',
      '1.0B',
      '00010',
      '8796093022207',
      '8796093022208',
      '+5',
      '0x1.8',
      '""',
      '1,5',
    ],
    ...['9223372036854775807B', '9223372036854775808B', '18446744073709551615', '0.1k', '1.0005k', '32M'],
  ],
  'avail-switchover-bandwidth': ['1', '1.5k', '9223372036854775807B', '18446744073709551615B', '0'],
  'max-postcopy-bandwidth': [
    ...['1', '1k', '0xffffffffffffffff', '18446744073709551616', '-1', '1.5', '1.5k', 'foo', '""', '16E', '15E'],
    ...['15.9999999999999999999E', '18446744073709551615'],
  ],
  'downtime-limit': ['1k', '1.5k', '0x10', '-1', '2000001', '2000000', '010', '300ms', '1M', '300'],
  'multifd-channels': [
    '0x10',
    '010',
    '256',
    '-1',
    '255',
    '1k',
    '1.0',
    '+3',
    '" 3"',
    '"3 "',
    '1-3',
    '1,2',
    '0',
    '09',
    '2',
  ],
  'xbzrle-cache-size': ['1M', '0', '5', '4k', '9223372036854775807', '9223372036854775808', '64M'],
  'cpu-throttle-tailslow': ['on', 'no', 'yes', 'n', 'y', 'off', 'true', 'false', 'ON', '1', '""', 'o'],
  'multifd-compression': ['zlib', 'zstd', 'foo', 'ZLIB', 'none', '""'],
  'zero-page-detection': ['none', 'legacy', 'multifd', 'x'],
  'tls-hostname': ['foo', '"a b"', '"a\\"b"', 'a\\b', "x'y", '""'],
  'tls-authz': ['foo', '""'],
  'x-checkpoint-delay': ['4294967295', '4294967296', '-1', '1k', '20000'],
  'x-vcpu-dirty-limit-period': ['1', '1k', '1001', '0', '1000'],
  'vcpu-dirty-limit': ['0', '1k', '0x10', '18446744073709551615'],
  'announce-initial': ['100001', '18446744073709551615', '1k', '50'],
  'announce-rounds': ['1001', '1', '1000'],
  'multifd-zlib-level': ['0', '9', '10'],
  'multifd-zstd-level': ['20', '21'],
  'multifd-qatzip-level': ['0', '1', '10'],
  'throttle-trigger-threshold': ['0', '100', '101'],
  'cpu-throttle-initial': ['1', '99', '100'],
  'block-bitmap-mapping': ['x'],
  mode: ['x', 'normal'],
  'direct-io': ['x', 'off'],
  foo: ['1'],
  'MAX-bandwidth': ['1'],
  '""': ['1'],
};

describeWithQemu('the text monitor compared with that of QEMU', () => {
  const both = shared(async () => ({ qemu: await startQemu(), monitor: await monitorOf() }));

  test('settings are accepted, refused and printed alike', async () => {
    const { qemu, monitor } = both();
    expect(await monitor.run('info migrate_parameters')).toBe(await say(qemu, 'info migrate_parameters'));
    for (const [name, values] of Object.entries(SETTINGS)) {
      for (const value of values) {
        const line = `migrate_set_parameter ${name} ${value}`;
        const [theirs, ours] = [await say(qemu, line), await monitor.run(line)];
        expect([line, ours === '']).toEqual([line, theirs === '']);
        if (theirs !== '') expect(ours, line).toMatch(/^Error: .*\n$/);
        const shown = 'info migrate_parameters';
        expect(await monitor.run(shown), line).toBe(await say(qemu, shown));
      }
    }
  });

  test('capabilities are changed and printed alike', async () => {
    const { qemu, monitor } = both();
    for (const line of [
      'migrate_set_capability events on',
      'migrate_set_capability return-path on',
      'migrate_set_capability "validate-uuid" on',
      'migrate_set_capability zero-blocks  on ',
      'migrate_set_capability events "off"',
      'migrate_set_capability events OFF',
      'migrate_set_capability Events off',
      'migrate_set_capability return-path off',
    ]) {
      // QEMU accepts discouraged values with a warning.
      const isTaken = (text: string): boolean => text === '' || text.startsWith('warning: ');
      expect([line, isTaken(await monitor.run(line))]).toEqual([line, isTaken(await say(qemu, line))]);
      const shown = 'info migrate_capabilities';
      expect(await monitor.run(shown), line).toBe(await say(qemu, shown));
    }
  });

  test('a migration is printed alike before it, after it, and when it failed', async () => {
    const qemu = await startQemu({ guest: { pagesPerTick: 0 } });
    const { app, dataDirectory } = await startService(SMALL);
    const monitor = new HmpMonitor(app.domain);
    expect(await monitor.run('info migrate')).toBe(await say(qemu, 'info migrate'));
    const refused = 'migrate -d tcp:127.0.0.1:1';
    await say(qemu, refused);
    await monitor.run('migrate tcp:127.0.0.1:1');
    const failed = /^Migration status: failed \(.+\)\ntotal time: 0 ms\n$/m;
    expect(await say(qemu, 'info migrate')).toMatch(failed);
    expect(await monitor.run('info migrate')).toMatch(failed);

    await qemu.migrate(`file:${join(temporaryDirectory(), 'stream')}`);
    expect(await monitor.run(`migrate "file:${join(dataDirectory, 'files', 'stream')}"`)).toBe('');
    const theirs = withoutFigures(await say(qemu, 'info migrate'));
    const ours = withoutFigures(await monitor.run('info migrate'));
    // Whether the guest wrote memory directly before its final stop depends on timing.
    const certain = (text: string): string => text.replace('downtime ram: 0 kbytes\n', '');
    expect(certain(ours)).toBe(certain(theirs));
    expect(await monitor.run('info status')).toBe(await say(qemu, 'info status'));
  });

  test('the run state is printed alike', async () => {
    const [qemu, monitor] = [await startQemu({ paused: true }), await monitorOf([...SMALL, '--paused'])];
    for (const line of ['info status', 'cont', 'info status', 'stop', ' info  status ', 'c', 's', 'info status\n']) {
      expect(await monitor.run(line), line).toBe(await say(qemu, line));
    }
    const target = await startQemu({ incoming: 'defer' });
    const waiting = await monitorOf([...SMALL, '--incoming', 'defer']);
    expect(await waiting.run('info status')).toBe(await say(target, 'info status'));
    for (const line of ['migrate_incoming tcp:127.0.0.1:0', 'info status']) {
      expect(await waiting.run(line), line).toBe(await say(target, line));
    }
    expect(withoutFigures(await waiting.run('info migrate'))).toBe(withoutFigures(await say(target, 'info migrate')));
  });

  test('dirty rates and limits are accepted and refused alike', async () => {
    const { qemu, monitor } = both();
    for (const line of ['info dirty_rate', 'info vcpu_dirty_limit', 'cancel_vcpu_dirty_limit']) {
      expect(await monitor.run(line), line).toBe(await say(qemu, line));
    }
    for (const line of [
      ...[
        'calc_dirty_rate 0',
        'calc_dirty_rate 61',
        'calc_dirty_rate ~0',
        'calc_dirty_rate 1 1',
        'calc_dirty_rate -r 1',
      ],
      ...[
        'calc_dirty_rate -b 1 128',
        'calc_dirty_rate -r -b 1',
        'set_vcpu_dirty_limit 10',
        'set_vcpu_dirty_limit 10 5',
      ],
    ]) {
      expect(await say(qemu, line), line).not.toMatch(/^(Starting|\[Please)/);
      expect(await monitor.run(line), line).not.toMatch(/^(Starting|\[Please)/);
    }
    for (const line of ['calc_dirty_rate 1 (2*64)', 'info dirty_rate']) {
      expect(withoutSeconds(await monitor.run(line)), line).toBe(withoutSeconds(await say(qemu, line)));
    }
    expect(await say(qemu, 'calc_dirty_rate -b 1')).toMatch(/^Error: .*\n$/);
    expect(await monitor.run('calc_dirty_rate -b 1')).toMatch(/^Error: .*\n$/);
  });

  test('invalid lines are refused alike', async () => {
    const { qemu, monitor } = both();
    for (const line of [
      ...['', ' ', 'foo', 'foo bar', 'info foo', 'info stat', 'stop; cont', 'info status;', 'infostatus', '?x'],
      ...['info "status"', '"info" status', 'migrate-set-parameters', 'help foo', 'help info foo', '`stop`'],
    ]) {
      expect(await monitor.run(line), line).toBe(await say(qemu, line));
    }
    for (const line of [
      ...['migrate', 'migrate -d', 'migrate -x tcp:127.0.0.1:1', 'migrate -dr tcp:127.0.0.1:1', 'migrate "tcp:1'],
      ...['migrate -d -d tcp:127.0.0.1:1', 'migrate -r -d tcp:127.0.0.1:1', 'migrate_set_capability events'],
      ...['migrate_set_capability events on off', 'migrate_set_parameter foo', 'savevm a b', 'savevm "a\\qb"'],
      ...['stop\ncont', 'cont x', 'delvm', 'calc_dirty_rate', 'calc_dirty_rate (2', 'calc_dirty_rate 1;2'],
      ...['calc_dirty_rate 1 2 3', 'set_vcpu_dirty_limit 1/0', 'set_vcpu_dirty_limit 1.5', 'set_vcpu_dirty_limit 1 x'],
      ...['cancel_vcpu_dirty_limit x', 'set_vcpu_dirty_limit 18446744073709551616', 'calc_dirty_rate -b -r 1'],
    ]) {
      const hint = /Try "help (\S+)" for more information\n$/;
      const theirs = await say(qemu, line);
      expect(theirs, line).toMatch(hint);
      expect(hint.exec(await monitor.run(line))?.[1], line).toBe(hint.exec(theirs)?.[1]);
    }
  });

  test('snapshots of one image are listed alike, with either program as writer', async () => {
    const directory = temporaryDirectory();
    const images = ['one', 'two'].map((name) => join(directory, `${name}.qcow2`));
    for (const image of images) execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', image, '16M']);
    const disks = images.flatMap((image, at) => ['-drive', `if=none,id=disk${at},format=qcow2,file=${image}`]);
    const nodes = images.flatMap((image, at) => ['--blockdev', `disk${at}=${image}`]);
    const list = 'info snapshots';

    const first = await startQemu({ extraArguments: disks, guest: { pagesPerTick: 0 } });
    const none = await say(first, list);
    const device = { device: 'disk1', name: 'part' };
    await first.qmp.execute('blockdev-snapshot-internal-sync', device);
    const onlyPart = await say(first, list);
    for (const tag of ['one', '"two words"', 'a-tag-that-is-longer-than-its-column']) await say(first, `savevm ${tag}`);
    const theirs = await say(first, list);
    await first.qmp.execute('quit');
    await first.exited;

    const { app } = await startService([...SMALL, ...nodes]);
    const monitor = new HmpMonitor(app.domain);
    expect(await monitor.run(list)).toBe(theirs);
    for (const tag of ['one', '"two words"', 'a-tag-that-is-longer-than-its-column']) {
      expect(await monitor.run(`delvm ${tag}`)).toBe('');
    }
    expect(await monitor.run(list)).toBe(onlyPart);
    expect(await monitor.run('delvm part')).toBe('');
    expect(await monitor.run(list)).toBe(none);
    for (const tag of ['ours', '"more of ours"', '']) expect(await monitor.run(`savevm ${tag}`)).toBe('');
    const ours = await monitor.run(list);
    expect(ours.split('\n')).toHaveLength(6);
    await app.close();
    const second = await startQemu({ extraArguments: disks, paused: true });
    expect(await say(second, list)).toBe(ours);
  });

  test('each figure of info migrate is formatted as QEMU formats it', async () => {
    const guest = { pagesPerTick: 8 };
    const qemu = await startQemu({ guest, capabilities: ['xbzrle', 'pause-before-switchover', 'dirty-bitmaps'] });
    const query = async (command: string): Promise<never> => (await qemu.qmp.execute(command)) as never;
    const bitmaps = [{ name: 'b', alias: 'c' }];
    const mapping = [
      { 'node-name': 'n', alias: 'a', bitmaps },
      { 'node-name': 'n2', alias: 'a2', bitmaps: [] },
    ];
    await qemu.qmp.execute('migrate-set-parameters', { 'block-bitmap-mapping': mapping, 'tls-authz': 'x' });
    expect(parametersText(await query('query-migrate-parameters'))).toBe(await say(qemu, 'info migrate_parameters'));
    expect(dirtyRateText(await query('query-dirty-rate'))).toBe(await say(qemu, 'info dirty_rate'));

    await qemu.qmp.execute('migrate', { uri: `file:${qemu.path('stream')}` });
    await qemu.qmp.waitForEvent('MIGRATION', { matches: ({ status }) => status === 'pre-switchover' });
    const waiting = migrateText(await query('query-migrate'), { withZeros: false, isOnlyMigratable: false });
    expect(withoutTimes(waiting)).toBe(withoutTimes(await say(qemu, 'info migrate')));
    expect(waiting).toMatch(/^xbzrle overflow: \d+$/m);
    expect(waiting).toMatch(/^expected downtime: \d+ ms$/m);
    const from = qemu.qmp.events.length;
    await qemu.qmp.execute('migrate-continue', { state: 'pre-switchover' });
    await qemu.waitForMigrationEnd({ from });
    expect(migrateText(await query('query-migrate'), { withZeros: false, isOnlyMigratable: false })).toBe(
      await say(qemu, 'info migrate'),
    );
    expect(statusText(await query('query-status'))).toBe(await say(qemu, 'info status'));
  });

  test.each(
    combinations(
      [
        ['page-sampling', { 'sample-pages': 256 }],
        ['dirty-bitmap', {}],
      ],
      [['dirty-bitmap', {}]],
    ),
  )('a dirty rate that was measured by %s is printed alike', async (mode, more) => {
    const qemu = await startQemu();
    const measure = { 'calc-time': 100, 'calc-time-unit': 'millisecond', mode, ...more };
    await qemu.qmp.execute('calc-dirty-rate', measure);
    const measured = async (): Promise<DirtyRate> => (await qemu.qmp.execute('query-dirty-rate')) as DirtyRate;
    await expect.poll(async () => (await measured()).status).toBe('measured');
    expect(dirtyRateText(await measured())).toBe(await say(qemu, 'info dirty_rate'));
  });
});
