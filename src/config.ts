import { fstatSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  ConfigError,
  parseAssignment,
  parseBlockDevice,
  parseChoice,
  parseCount,
  parseHttpAddress,
  parseName,
  parseQmpAddress,
  parseRam,
  parseRingEntries,
  parseUuid,
  parseWorkload,
  type QmpAddress,
  type WorkloadSpec,
} from './config/flag-values.ts';
import { type FlagName, NOT_AVAILABLE, overview, usage } from './config/flags.ts';
import { commandPlace, type Given, readEnvironment, readFlags } from './config/given-flags.ts';
import { parseOrigins } from './config/origins.ts';
import { type AccessToken, readTokenFile } from './config/token-file.ts';

export { readTokenFile } from './config/token-file.ts';
export { ConfigError } from './config/flag-values.ts';

/** What the service was started with; checked, complete and frozen. Sizes in bytes. */
export type Config = {
  readonly http: { readonly host: string; readonly port: number };
  /** QMP sockets, in the order given. */
  readonly qmp: readonly QmpAddress[];
  /** Null: no token is asked for, and the listener is on loopback. */
  readonly tokens: readonly AccessToken[] | null;
  /** Web origins whose pages may use the API, as browsers write them, or `*`. */
  readonly allowedOrigins: readonly string[];
  /** Where the tokens came from; absolute. */
  readonly tokenFile: string | null;
  readonly dataDirectory: string;
  readonly machine: {
    readonly kind: 'synthetic' | 'image';
    readonly name: string;
    /** Null: what was generated at the first start, or one generated now and kept. */
    readonly uuid: string | null;
    readonly ramBytes: number;
    /** Take the memory for all of RAM at the start, and not when the guest first writes it. */
    readonly preallocatesRam: boolean;
    readonly vcpus: number;
    /** Pages that the dirty ring of each vCPU holds; null: there are no rings. */
    readonly ringEntries: number | null;
    readonly workload: WorkloadSpec;
    readonly paused: boolean;
  };
  /** `defer`, a URI, or null for a machine that starts by itself. */
  readonly incoming: string | null;
  /** After an incoming migration that failed the next sender is awaited. */
  readonly keepListening: boolean;
  readonly fileRoot: string;
  readonly allowExec: boolean;
  /** Nothing may forbid an outgoing migration. */
  readonly onlyMigratable: boolean;
  readonly descriptors: ReadonlyMap<string, number>;
  /** Block device nodes, in the order given. */
  readonly blockDevices: readonly BlockDeviceConfig[];
  readonly overrides: {
    readonly parameters: Readonly<Record<string, string>>;
    readonly capabilities: readonly string[];
  };
  readonly logLevel: LogLevel;
  /** Where the address of the HTTP listener is written once the service is ready; absolute, or null. */
  readonly urlFile: string | null;
  /** The process was started by `npm start`, and is to end when npm does, however npm ends. */
  readonly endsWithParent: boolean;
  /** How long what runs may go on once the service was told to stop. */
  readonly drainTimeoutMs: number;
  /** What was accepted but is unwise; to be logged. */
  readonly warnings: readonly string[];
};

export type BlockDeviceConfig = {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** Virtual size of the image that is made if there is none; null: it has to be there. */
  readonly createBytes: number | null;
};

export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What the command line asks for. */
export type Invocation =
  | { readonly action: 'serve'; readonly config: Config }
  | {
      readonly action: 'client';
      readonly argv: readonly string[];
      /** Of this program. */
      readonly version: string;
      readonly environment: ClientEnvironment;
    }
  | { readonly action: 'print'; readonly text: string };

/** What the client takes from the environment, as it is there. */
export type ClientEnvironment = Readonly<
  Record<'url' | 'urlFile' | 'token' | 'terminal' | 'noColor' | 'home' | 'stateHome', string | undefined>
>;

/**
 * Reads `serve FLAGS` and the environment; a flag goes before its variable. A command of the client is the client's to
 * read, with the options that stand before it.
 * @throws ConfigError with one line for people.
 */
export function readInvocation(
  argv: readonly string[],
  version: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Invocation {
  const at = commandPlace(argv);
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
/** Virtual size of the disk that is made where none was given. */
const DEFAULT_DISK_BYTES = 2 ** 30;
const DESCRIPTOR_MAX = 2 ** 20;
/** 0, 1 and 2 are the standard streams. */
const DESCRIPTOR_MIN = 3;

function machineKind(text: string): 'synthetic' | 'image' {
  if (text === 'qemu') throw new ConfigError('--machine qemu is not available in this version');
  return parseChoice('--machine', text, ['synthetic', 'image']);
}

function readDescriptors(list: readonly string[]): ReadonlyMap<string, number> {
  const texts = readAssignments('--fd', list);
  const range = { min: DESCRIPTOR_MIN, max: DESCRIPTOR_MAX };
  return new Map(
    [...texts].map(([name, text]) => {
      const descriptor = parseCount(`--fd ${name}=`, text, range);
      if (!isOpen(descriptor)) throw new ConfigError(`--fd ${name}=${descriptor}: no such descriptor is open`);
      return [name, descriptor];
    }),
  );
}

/** Without any there is one in the data directory, which is made at the first start. */
function readBlockDevices(list: readonly string[], dataDirectory: string): BlockDeviceConfig[] {
  if (list.length === 0) {
    return [{ name: 'disk0', path: join(dataDirectory, 'disk0.qcow2'), createBytes: DEFAULT_DISK_BYTES }];
  }
  const devices = list.map((text) => parseBlockDevice('--blockdev', text));
  const twice = devices.find(({ name }, index) => devices.findIndex((other) => other.name === name) < index);
  if (twice !== undefined) throw new ConfigError(`--blockdev ${twice.name} is given twice`);
  return devices.map(({ name, file }) => ({ name, path: resolve(file), createBytes: null }));
}

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

function readAssignments(flag: string, list: readonly string[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const text of list) {
    const [name, value] = parseAssignment(flag, text);
    if (values.has(name)) throw new ConfigError(`${flag} ${name} is given twice`);
    values.set(name, value);
  }
  return values;
}

function nonEmpty(name: string, value: string): string {
  if (value === '') throw new ConfigError(`--${name} must not be empty`);
  return value;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !(value instanceof Map)) {
    for (const member of Object.values(value)) deepFreeze(member);
    Object.freeze(value);
  }
  return value;
}

/**
 * Lets worker threads use the compile cache too: they look at the environment only. Each then takes some 15 MiB less,
 * since it need not load the type stripper.
 */
export function passCompileCache(directory: string): void {
  process.env.NODE_COMPILE_CACHE ??= directory;
}
