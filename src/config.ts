import { join, resolve } from 'node:path';
import {
  ConfigError,
  nonEmpty,
  parseBlockDevice,
  parseChoice,
  parseCount,
  parseHttpAddress,
  parseName,
  parseOrigins,
  parseQmpAddress,
  parseRam,
  parseRingEntries,
  parseUuid,
  parseWorkload,
  type QmpAddress,
  readAssignments,
  type WorkloadSpec,
} from './config/flag-values.ts';
import { type FlagName, NOT_AVAILABLE, overview, usage } from './config/flags.ts';
import { commandIndex, type Given, readDescriptors, readEnvironment, readFlags } from './config/given-flags.ts';
import { type AccessToken, readTokenFile } from './config/token-file.ts';

export { ConfigError } from './config/flag-values.ts';
export { readTokenFile } from './config/token-file.ts';

/** Configuration of the service from flags and environment variables; checked, complete and frozen. Sizes in bytes. */
export type Config = {
  readonly http: { readonly host: string; readonly port: number };
  /** QMP sockets, in the order of the flags. */
  readonly qmp: readonly QmpAddress[];
  /** Null: requests need no token, and the listener is on loopback. */
  readonly tokens: readonly AccessToken[] | null;
  /** Web origins whose pages may use the API, in the form of the header Origin, or `*`. */
  readonly allowedOrigins: readonly string[];
  /** Absolute path of the file with the tokens; null: no file. */
  readonly tokenFile: string | null;
  readonly dataDirectory: string;
  readonly machine: {
    readonly kind: 'synthetic' | 'image';
    readonly name: string;
    /** Null: the uuid that was generated at the first start and stored. */
    readonly uuid: string | null;
    readonly ramBytes: number;
    /** True: all guest RAM is allocated at the start, not at the first write of a page. */
    readonly preallocatesRam: boolean;
    readonly vcpus: number;
    /** Pages in the dirty ring of each vCPU; null: no rings. */
    readonly ringEntries: number | null;
    readonly workload: WorkloadSpec;
    readonly paused: boolean;
  };
  /** `defer` or a URI for the target of a migration; null: the machine starts. */
  readonly incoming: string | null;
  /** True: the service listens again after an incoming migration that failed or was cancelled. */
  readonly keepListening: boolean;
  readonly fileRoot: string;
  readonly allowExec: boolean;
  /** True: the service refuses everything that would forbid an outgoing migration. */
  readonly onlyMigratable: boolean;
  /** Inherited file descriptors by their names. */
  readonly descriptors: ReadonlyMap<string, number>;
  /** Block device nodes, in the order of the flags. */
  readonly blockDevices: readonly BlockDeviceConfig[];
  readonly overrides: {
    readonly parameters: Readonly<Record<string, string>>;
    readonly capabilities: readonly string[];
  };
  readonly logLevel: LogLevel;
  /** Absolute path of the file for the address of the HTTP listener; null: no file. */
  readonly urlFile: string | null;
  /** True if `npm start` has started the process, which then ends when npm ends. */
  readonly endsWithParent: boolean;
  /** How long migrations and jobs may continue after SIGTERM, in milliseconds. */
  readonly drainTimeoutMs: number;
  /** Warnings about accepted values; to be logged. */
  readonly warnings: readonly string[];
};

export type BlockDeviceConfig = {
  readonly name: string;
  /** Absolute path. */
  readonly path: string;
  /** Virtual size, in bytes, of the image that is created if there is none; null: the image has to exist. */
  readonly createBytes: number | null;
};

export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Request of the command line: run the service, run a command of the client, or print a text. */
export type Invocation =
  | { readonly action: 'serve'; readonly config: Config }
  | {
      readonly action: 'client';
      readonly argv: readonly string[];
      /** Version of this program. */
      readonly version: string;
      readonly environment: ClientEnvironment;
    }
  | { readonly action: 'print'; readonly text: string };

/** Environment variables of the client, unchecked. */
export type ClientEnvironment = Readonly<
  Record<'url' | 'urlFile' | 'token' | 'terminal' | 'noColor' | 'home' | 'stateHome', string | undefined>
>;

/**
 * Reads the command line. For `serve` it also reads the environment; a flag has precedence over its variable. The words of
 * other commands are not checked here: the client parses them.
 * @throws ConfigError with a message of one line.
 */
export function readInvocation(
  argv: readonly string[],
  version: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Invocation {
  const at = commandIndex(argv);
  const command = at < 0 ? null : argv[at];
  const topic = argv[at + 1];
  if (command === 'help')
    return readInvocation([...(topic === undefined ? [] : [topic]), '--help'], version, environment);
  const before = at < 0 ? argv : argv.slice(0, at);
  if (command !== null && command !== 'serve' && !before.includes('--version')) {
    return { action: 'client', argv, version, environment: clientEnvironment(environment) };
  }
  const flags = readFlags(command === 'serve' ? argv.toSpliced(at, 1) : before);
  if (flags.has('help')) return { action: 'print', text: command === 'serve' ? usage() : overview() };
  if (flags.has('version')) return { action: 'print', text: `vmferry ${version}\n` };
  const given: Given = new Map([...readEnvironment(environment), ...flags]);
  return { action: 'serve', config: configOf(given, environment.npm_lifecycle_event === 'start') };
}

function clientEnvironment(environment: Readonly<Record<string, string | undefined>>): ClientEnvironment {
  return {
    url: environment.VMFERRY_URL,
    urlFile: environment.VMFERRY_URL_FILE,
    token: environment.VMFERRY_TOKEN,
    terminal: environment.TERM,
    noColor: environment.NO_COLOR,
    home: environment.HOME,
    stateHome: environment.XDG_STATE_HOME,
  };
}

function configOf(given: Given, endsWithParent: boolean): Config {
  for (const [name, why] of Object.entries(NOT_AVAILABLE)) {
    if (given.has(name as FlagName)) throw new ConfigError(`--${name} is not available in this version: ${why}`);
  }
  const one = (name: FlagName, fallback: string): string => given.get(name)?.[0] ?? fallback;
  const oneOrNull = (name: FlagName): string | null => given.get(name)?.[0] ?? null;
  const dataDirectory = resolve(nonEmpty('data', one('data', 'data')));
  const ramBytes = parseRam('--ram', one('ram', '256M'));
  const uuid = oneOrNull('uuid');
  const tokenFile = oneOrNull('token-file');
  const access = tokenFile === null ? null : readTokenFile(nonEmpty('token-file', tokenFile));
  const config: Config = {
    http: parseHttpAddress(one('http', '127.0.0.1:8080'), access !== null),
    qmp: (given.get('qmp') ?? []).map(parseQmpAddress),
    tokens: access?.tokens ?? null,
    allowedOrigins: parseOrigins(given.get('allow-origin') ?? [], access !== null),
    tokenFile: tokenFile === null ? null : resolve(tokenFile),
    dataDirectory,
    machine: {
      kind: machineKind(one('machine', 'synthetic')),
      name: parseName('--name', one('name', 'vm0')),
      uuid: uuid === null ? null : parseUuid('--uuid', uuid),
      ramBytes,
      preallocatesRam: given.has('ram-prealloc'),
      vcpus: parseCount('--vcpus', one('vcpus', '1'), { min: 1, max: VCPUS_MAX }),
      ringEntries: parseRingEntries('--dirty-ring-size', one('dirty-ring-size', '0')),
      workload: parseWorkload(one('workload', ''), ramBytes),
      paused: given.has('paused'),
    },
    incoming: oneOrNull('incoming') === null ? null : nonEmpty('incoming', one('incoming', '')),
    keepListening: keepsListening(given),
    fileRoot: resolve(nonEmpty('file-root', one('file-root', join(dataDirectory, 'files')))),
    allowExec: given.has('allow-exec'),
    onlyMigratable: given.has('only-migratable'),
    descriptors: readDescriptors(given.get('fd') ?? []),
    blockDevices: readBlockDevices(given.get('blockdev') ?? [], dataDirectory),
    overrides: {
      parameters: Object.fromEntries(readAssignments('--set', given.get('set') ?? [])),
      capabilities: (given.get('enable') ?? []).map((name) => nonEmpty('enable', name)),
    },
    logLevel: parseChoice('--log-level', one('log-level', 'warn'), LOG_LEVELS),
    urlFile: oneOrNull('url-file') === null ? null : resolve(nonEmpty('url-file', one('url-file', ''))),
    endsWithParent,
    drainTimeoutMs:
      parseCount('--drain-timeout', one('drain-timeout', '10'), { min: 0, max: DRAIN_SECONDS_MAX }) * 1000,
    warnings: access?.warnings ?? [],
  };
  return deepFreeze(config);
}

function keepsListening(given: Given): boolean {
  if (!given.has('keep-listening') || given.has('incoming')) return given.has('keep-listening');
  throw new ConfigError('--keep-listening is for a service that is started with --incoming');
}

const VCPUS_MAX = 64;
const DRAIN_SECONDS_MAX = 86_400;
/** Virtual size of the disk that is created without --blockdev, in bytes. */
const DEFAULT_DISK_BYTES = 2 ** 30;

function machineKind(text: string): 'synthetic' | 'image' {
  if (text === 'qemu') throw new ConfigError('--machine qemu is not available in this version');
  return parseChoice('--machine', text, ['synthetic', 'image']);
}

/** The block device nodes. Without --blockdev there is one disk in the data directory, created at the first start. */
function readBlockDevices(list: readonly string[], dataDirectory: string): BlockDeviceConfig[] {
  if (list.length === 0) {
    return [{ name: 'disk0', path: join(dataDirectory, 'disk0.qcow2'), createBytes: DEFAULT_DISK_BYTES }];
  }
  const devices = list.map((text) => parseBlockDevice('--blockdev', text));
  const twice = devices.find(({ name }, index) => devices.findIndex((other) => other.name === name) < index);
  if (twice !== undefined) throw new ConfigError(`--blockdev ${twice.name} is given twice`);
  return devices.map(({ name, file }) => ({ name, path: resolve(file), createBytes: null }));
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !(value instanceof Map)) {
    for (const member of Object.values(value)) deepFreeze(member);
    Object.freeze(value);
  }
  return value;
}

/**
 * Gives worker threads the compile cache, which they take from the environment only. Each thread then needs about 15 MiB less,
 * since it does not load the type stripper.
 */
export function passCompileCache(directory: string): void {
  process.env.NODE_COMPILE_CACHE ??= directory;
}
