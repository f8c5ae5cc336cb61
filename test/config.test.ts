import { isAbsolute, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Config, ConfigError, readInvocation } from '../src/config.ts';

function config(flags: readonly string[], environment: Record<string, string> = {}): Config {
  const invocation = readInvocation(['serve', ...flags], '1.2.3', environment);
  if (invocation.action !== 'serve') throw new Error('these words start no service');
  return invocation.config;
}

/** Without a token file and without --drain-timeout. */
const UNGUARDED = {
  tokens: null,
  allowedOrigins: ['https://dashboard.example'],
  tokenFile: null,
  urlFile: '/run/url',
  endsWithParent: false,
  drainTimeoutMs: 10_000,
  warnings: [],
};

const EVERY_FLAG = [
  '--http localhost:0 --data /d --name=guest --uuid 8C6B7A5E-3f0d-4f35-9d3c-0d5f7f0a1b2c',
  '--ram 1G --vcpus=4 --dirty-ring-size=4096 --workload rate=0,span=4k,pattern=seq,fill=zero,check=1M --paused --ram-prealloc',
  '--incoming defer --keep-listening --file-root /f --allow-exec --only-migratable --fd a=3 --fd b=4 --qmp unix:/run/a --qmp=tcp:[::1]:0',
  '--set downtime-limit=5 --set tls-hostname=a=b --enable events --enable multifd --blockdev a0=/disks/a.qcow2 --url-file /run/url --allow-origin https://dashboard.example',
].flatMap((flags) => flags.split(' '));

describe('the command line', () => {
  test('without flags configures a synthetic guest on loopback', () => {
    expect(config([])).toMatchObject({
      http: { host: '127.0.0.1', port: 8080 },
      machine: {
        kind: 'synthetic',
        name: 'vm0',
        uuid: null,
        ramBytes: 256 * 2 ** 20,
        vcpus: 1,
        workload: { rate: 20 * 2 ** 20, span: 64 * 2 ** 20, pattern: 'hot', fill: 'quarter', check: 'auto' },
        paused: false,
        preallocatesRam: false,
      },
      incoming: null,
      allowExec: false,
      onlyMigratable: false,
      overrides: { parameters: {}, capabilities: [] },
    });
    expect(isAbsolute(config([]).dataDirectory)).toBe(true);
    expect(config([]).fileRoot).toBe(`${config([]).dataDirectory}/files`);
  });

  test('every flag has its effect', () => {
    expect(config(EVERY_FLAG)).toEqual({
      http: { host: 'localhost', port: 0 },
      qmp: [
        { kind: 'unix', path: '/run/a' },
        { kind: 'tcp', host: '::1', port: 0 },
      ],
      dataDirectory: '/d',
      machine: {
        kind: 'synthetic',
        name: 'guest',
        uuid: '8c6b7a5e-3f0d-4f35-9d3c-0d5f7f0a1b2c',
        ramBytes: 2 ** 30,
        vcpus: 4,
        ringEntries: 4096,
        workload: { rate: 0, span: 4096, pattern: 'seq', fill: 'zero', check: 2 ** 20 },
        paused: true,
        preallocatesRam: true,
      },
      incoming: 'defer',
      keepListening: true,
      fileRoot: '/f',
      allowExec: true,
      onlyMigratable: true,
      descriptors: new Map([
        ['a', 3],
        ['b', 4],
      ]),
      blockDevices: [{ name: 'a0', path: '/disks/a.qcow2', createBytes: null }],
      overrides: { parameters: { 'downtime-limit': '5', 'tls-hostname': 'a=b' }, capabilities: ['events', 'multifd'] },
      logLevel: 'warn',
      ...UNGUARDED,
    });
  });

  test('variables have the effects of their flags, and a flag has precedence over its variable', () => {
    const environment = {
      VMFERRY_RAM: '2M',
      VMFERRY_FILE_ROOT: '/f',
      VMFERRY_PAUSED: 'true',
      VMFERRY_ALLOW_EXEC: 'false',
      VMFERRY_ENABLE: 'events,return-path',
      VMFERRY_NAME: 'from the environment',
      VMFERRY_TEST_QEMU: '/usr/bin/qemu',
      HOME: '/root',
    };
    expect(config(['--name', 'from the flag'], environment)).toMatchObject({
      machine: { ramBytes: 2 * 2 ** 20, paused: true, name: 'from the flag' },
      fileRoot: '/f',
      allowExec: false,
      overrides: { capabilities: ['events', 'return-path'] },
    });
  });

  test('without --blockdev there is one disk in the data directory, which is created', () => {
    expect(config(['--data', '/d']).blockDevices).toEqual([
      { name: 'disk0', path: '/d/disk0.qcow2', createBytes: 2 ** 30 },
    ]);
  });

  test('block device nodes keep their order, and their files are not created', () => {
    const name = `a${'.-_'.repeat(10)}`;
    expect(config(['--blockdev', `${name}=/x=y.qcow2`, '--blockdev', 'b=rel.qcow2']).blockDevices).toEqual([
      { name, path: '/x=y.qcow2', createBytes: null },
      { name: 'b', path: resolve('rel.qcow2'), createBytes: null },
    ]);
    expect(config([], { VMFERRY_BLOCKDEV: 'c=/1,d=/2' }).blockDevices.map(({ name }) => name)).toEqual(['c', 'd']);
  });

  test('every other command is passed to the client with its environment variables', () => {
    const environment = {
      VMFERRY_URL: 'http://[::1]:1',
      VMFERRY_TOKEN: 'secret',
      VMFERRY_URL_FILE: '/run/url',
      VMFERRY_RAMM: '1M',
      TERM: 'dumb',
      NO_COLOR: '1',
      HOME: '/h',
      XDG_STATE_HOME: '/s',
    };
    expect(readInvocation(['snapshot', 'list', '--nonsense'], '1.2.3', environment)).toEqual({
      action: 'client',
      argv: ['snapshot', 'list', '--nonsense'],
      version: '1.2.3',
      environment: {
        url: 'http://[::1]:1',
        urlFile: '/run/url',
        token: 'secret',
        terminal: 'dumb',
        noColor: '1',
        home: '/h',
        stateHome: '/s',
      },
    });
    expect(readInvocation(['fly'], '1.2.3', {})).toMatchObject({ action: 'client', argv: ['fly'] });
  });

  test.each([
    [['--url', 'http://x', 'status'], 'client'],
    [['--url=http://x', '--json', 'jobs', 'list'], 'client'],
    [['--token-file', 'status', 'status'], 'client'],
    [['--help', 'status'], 'client'],
    [['--data', '/d', 'serve', '--ram', '1M'], 'serve'],
    [['--name', 'status'], 'serve'],
    [['--name=status', '--paused'], 'serve'],
    [['--help', 'serve'], 'print'],
    [['--version', 'status'], 'print'],
  ])('options may precede the command: %j', (argv, action) => {
    const invocation = readInvocation(argv, '1.2.3', {});
    expect(invocation.action).toBe(action);
    if (invocation.action === 'client') expect(invocation.argv).toEqual(argv);
    if (invocation.action === 'serve' && argv.includes('serve')) {
      expect(invocation.config).toMatchObject({ dataDirectory: '/d', machine: { ramBytes: 2 ** 20 } });
    }
  });

  test('help COMMAND is the same as COMMAND --help', () => {
    expect(readInvocation(['help', 'migrate'], '1.2.3', {})).toMatchObject({ argv: ['migrate', '--help'] });
    expect(readInvocation(['help', 'serve'], '1.2.3', {})).toMatchObject({ text: expect.stringContaining('--ram') });
    expect(readInvocation(['help'], '1.2.3', {})).toEqual(readInvocation(['--help'], '1.2.3', {}));
  });

  test('the service ignores the variables of the client', () => {
    expect(config([], { VMFERRY_URL: 'x', VMFERRY_TOKEN: 'y' })).toEqual(config([]));
  });

  test('--help lists the commands, and serve --help the flags', () => {
    expect(readInvocation(['--help'], '1.2.3', {})).toMatchObject({ text: expect.stringContaining('snapshot save') });
    expect(readInvocation(['serve', '--help'], '1.2.3', {})).toMatchObject({ text: expect.stringContaining('--ram') });
  });

  test('the configuration cannot be changed', () => {
    const made = config([]);
    expect(Object.isFrozen(made)).toBe(true);
    expect(Object.isFrozen(made.machine.workload)).toBe(true);
  });

  test('a default span is at most the RAM of the guest', () => {
    expect(config(['--ram', '1M']).machine.workload.span).toBe(2 ** 20);
  });

  test.each([['--help'], ['--version'], ['serve', '--help']])('%s prints a text', (...argv) => {
    expect(readInvocation(argv, '1.2.3', {})).toMatchObject({
      action: 'print',
      text: expect.stringContaining('vmferry'),
    });
  });

  test.each([
    [['--nonsense'], 'unknown flag --nonsense'],
    [['-x'], 'unknown flag -x'],
    [['extra'], 'unexpected argument "extra"'],
    [['--'], 'unexpected "--"'],
    [['--ram'], '--ram needs a value'],
    [['--paused=yes'], '--paused takes no value'],
    [['--ram', '1M', '--ram', '2M'], '--ram is given twice'],
    [['--ram', '0'], 'from 1M to 64G'],
    [['--ram', '65G'], 'from 1M to 64G'],
    [['--ram', '1048577'], 'multiple of 4096'],
    [['--ram', '-1M'], '--ram is negative'],
    [['--ram', '5X'], 'size such as 4096, 512k or 1.5G'],
    [['--ram', '1,5G'], 'size such as 4096, 512k or 1.5G'],
    [['--vcpus', '0'], 'from 1 to 64'],
    [['--vcpus', '65'], 'from 1 to 64'],
    [['--vcpus', '1e1'], 'from 1 to 64'],
    [['--http', '8080'], 'HOST:PORT'],
    [['--http', '127.0.0.1:65536'], 'from 0 to 65535'],
    [['--http', '0.0.0.0:8080'], 'not on loopback'],
    [['--http', '127.0.0.1.example:80'], 'not on loopback'],
    [['--http', '[::]:80'], 'not on loopback'],
    [['--machine', 'qemu'], 'not available in this version'],
    [['--machine', 'toaster'], 'must be one of synthetic, image'],
    [['--qmp', '/x'], '--qmp must be unix:PATH or tcp:HOST:PORT'],
    [['--qmp', 'unix:'], '--qmp unix: has no path'],
    [['--qmp', `unix:/${'x'.repeat(107)}`], '107 bytes at most'],
    [['--qmp', 'tcp:0.0.0.0:4444'], 'is not on loopback, and QMP has no tokens'],
    [['--qmp', 'tcp:127.0.0.1:70000'], 'the port of --qmp must be a whole number'],
    [['--qmp', 'tcp:localhost'], '--qmp must be unix:PATH or tcp:HOST:PORT'],
    [['--blockdev', 'disk0'], 'NAME=VALUE'],
    [['--blockdev', 'disk0='], '--blockdev disk0 has no file'],
    [['--blockdev', '0disk=/a'], 'is not a node name'],
    [['--blockdev', '#block0=/a'], 'is not a node name'],
    [['--blockdev', `a${'b'.repeat(31)}=/a`], 'is not a node name'],
    [['--blockdev', 'a=/x', '--blockdev', 'b=/y', '--blockdev', 'a=/z'], '--blockdev a is given twice'],
    [['--token-file', '/nowhere/t'], '--token-file /nowhere/t cannot be read: ENOENT'],
    [['--drain-timeout', '-1'], '--drain-timeout must be a whole number from 0 to 86400, not "-1"'],
    [['--qemu-qmp', 'unix:/x'], '--qemu-qmp is not available in this version'],
    [['--workload', 'speed=1'], 'has no "speed"'],
    [['--workload', 'rate'], 'NAME=VALUE'],
    [['--workload', 'rate=1,rate=2'], 'rate is given twice'],
    [['--workload', 'rate=2T'], 'at most 1T'],
    [['--workload', 'span=1G'], 'from 4096 to the RAM'],
    [['--workload', 'pattern=zigzag'], 'must be one of hot, seq, random'],
    [['--uuid', 'x'], 'must be a UUID'],
    [['--dirty-ring-size', '4095'], 'must be a power of two from 1024 to 65536'],
    [['--dirty-ring-size', '512'], 'must be a power of two from 1024 to 65536'],
    [['--dirty-ring-size', '131072'], 'must be a power of two from 1024 to 65536'],
    [['--name', ''], 'printable'],
    [['--name', 'a\nb'], 'printable'],
    [['--data', ''], 'must not be empty'],
    [['--incoming', ''], 'must not be empty'],
    [['--fd', 'a=2'], 'from 3'],
    [['--fd', '=3'], 'NAME=VALUE'],
    [['--fd', 'a=1048576'], '--fd a=1048576: no such descriptor is open'],
    [['--fd', 'a=3', '--fd', 'a=4'], 'a is given twice'],
    [['--set', 'x'], 'NAME=VALUE'],
    [['--log-level', 'loud'], 'must be one of silent'],
  ])('the flags %j are refused in one line', (flags, message) => {
    expect(() => config(flags)).toThrow(ConfigError);
    expect(() => config(flags)).toThrow(message);
    expect(() => config(flags)).toThrow(/^[^\n]*$/);
  });

  test.each([
    [{ VMFERRY_RAMM: '1M' }, 'unknown environment variable VMFERRY_RAMM'],
    [{ VMFERRY_PAUSED: 'yes' }, 'must be one of true, false'],
    [{ VMFERRY_RAM: 'much' }, 'size such as 4096, 512k or 1.5G'],
    [{ VMFERRY_QMP: 'unix:/x,y' }, '--qmp must be unix:PATH or tcp:HOST:PORT, not "y"'],
  ])('the variables %j are refused in one line', (environment: Record<string, string>, message) => {
    expect(() => config([], environment)).toThrow(message);
  });
});
