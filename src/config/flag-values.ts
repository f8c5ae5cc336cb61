import { parseSize as readSize, SIZE_FORM } from '../text/size.ts';

/* Values of flags: text in, checked values out. Each error is one line with the flag and the allowed values. */

/** The command line or the environment is not valid: the process ends with status 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const PAGE_BYTES = 4096;
const RAM_BYTES_MIN = 2 ** 20;
const RAM_BYTES_MAX = 64 * 2 ** 30;
const RING_ENTRIES_MIN = 1024;
const RING_ENTRIES_MAX = 65536;
const RATE_MAX = 2 ** 40;
const PORT_MAX = 65535;
const NAME_LENGTH_MAX = 255;
const DEFAULT_SPAN = '64M';

/** Workload of a synthetic guest, and the content of its RAM at the start. */
export type WorkloadSpec = {
  /** Bytes written per second; 0: idle. */
  readonly rate: number;
  /** Bytes of RAM that are written to. */
  readonly span: number;
  readonly pattern: 'hot' | 'seq' | 'random';
  /** Initial content; `quarter`: the last quarter random, the rest zero. */
  readonly fill: 'quarter' | 'zero' | 'text' | 'random';
  /** Bytes per second that the guest reads and checks; `auto`: derived from the rate. */
  readonly check: number | 'auto';
};

/** A size in bytes, as `src/text/size.ts` reads it. */
export function parseSize(flag: string, text: string): number {
  const bytes = readSize(text, 'B');
  if (bytes === null) throw new ConfigError(`${flag} must be ${SIZE_FORM}, not "${text}"`);
  if (bytes === 'out-of-range' || bytes > Number.MAX_SAFE_INTEGER) {
    throw new ConfigError(`${flag} is ${text.startsWith('-') ? 'negative' : 'too large'}: "${text}"`);
  }
  return Number(bytes);
}

/** Size of guest RAM in bytes, a multiple of the page size. */
export function parseRam(flag: string, text: string): number {
  const bytes = parseSize(flag, text);
  if (bytes < RAM_BYTES_MIN || bytes > RAM_BYTES_MAX)
    throw new ConfigError(`${flag} must be from 1M to 64G, not "${text}"`);
  if (bytes % PAGE_BYTES !== 0) throw new ConfigError(`${flag} must be a multiple of ${PAGE_BYTES}, not "${text}"`);
  return bytes;
}

/** A whole number in a range. */
export function parseCount(flag: string, text: string, range: { readonly min: number; readonly max: number }): number {
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= range.min && value <= range.max) return value;
  const hint = /^\d+\D+$/.test(text) ? ' (without a unit)' : '';
  throw new ConfigError(`${flag} must be a whole number from ${range.min} to ${range.max}${hint}, not "${text}"`);
}

/** One of the given texts. */
export function parseChoice<const T extends string>(flag: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text);
  if (choice === undefined) throw new ConfigError(`${flag} must be one of ${choices.join(', ')}, not "${text}"`);
  return choice;
}

/** Entries of a dirty ring, a power of two as in KVM; null for 0: no ring. */
export function parseRingEntries(flag: string, text: string): number | null {
  const entries = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (entries === 0) return null;
  const isPower = Number.isInteger(Math.log2(entries));
  if (isPower && entries >= RING_ENTRIES_MIN && entries <= RING_ENTRIES_MAX) return entries;
  const range = `from ${RING_ENTRIES_MIN} to ${RING_ENTRIES_MAX}`;
  throw new ConfigError(`${flag} must be a power of two ${range}, or 0 for none, not "${text}"`);
}

/** A name of printable characters. */
export function parseName(flag: string, text: string): string {
  const isPrintable = /^[^\p{Cc}\p{Cs}]+$/u.test(text);
  if (text.length <= NAME_LENGTH_MAX && isPrintable) return text;
  throw new ConfigError(`${flag} must be 1 to ${NAME_LENGTH_MAX} printable characters`);
}

/** A UUID, converted to lower case. */
export function parseUuid(flag: string, text: string): string {
  if (!isUuid(text))
    throw new ConfigError(`${flag} must be a UUID such as 8c6b7a5e-3f0d-4f35-9d3c-0d5f7f0a1b2c, not "${text}"`);
  return text.toLowerCase();
}

/** True if the text is a UUID. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);
}

/** NAME=VALUE. */
export function parseAssignment(flag: string, text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at < 1) throw new ConfigError(`${flag} must be NAME=VALUE, not "${text}"`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** The values of a repeatable flag NAME=VALUE. @throws ConfigError if a name is given twice. */
export function readAssignments(flag: string, list: readonly string[]): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const text of list) {
    const [name, value] = parseAssignment(flag, text);
    if (values.has(name)) throw new ConfigError(`${flag} ${name} is given twice`);
    values.set(name, value);
  }
  return values;
}

/** @returns the value. @throws ConfigError if it is empty. */
export function nonEmpty(name: string, value: string): string {
  if (value === '') throw new ConfigError(`--${name} must not be empty`);
  return value;
}

/** NODE=FILE. The name obeys QEMU's rule for block device nodes: at most 31 bytes. */
export function parseBlockDevice(flag: string, text: string): { readonly name: string; readonly file: string } {
  const [name, file] = parseAssignment(flag, text);
  if (!/^[A-Za-z][A-Za-z0-9._-]{0,30}$/.test(name)) {
    throw new ConfigError(
      `${flag} "${name}" is not a node name, which has a letter and then up to 30 letters, digits, "-", "." and "_"`,
    );
  }
  if (file === '') throw new ConfigError(`${flag} ${name} has no file`);
  return { name, file };
}

/** HOST:PORT. Without tokens only loopback is allowed. */
export function parseHttpAddress(text: string, hasTokens: boolean): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw new ConfigError(`--http must be HOST:PORT, not "${text}"`);
  const port = parseCount('the port of --http', match?.[3] ?? '', { min: 0, max: PORT_MAX });
  if (!hasTokens && !isLoopback(host)) {
    throw new ConfigError(
      `--http ${text} is not on loopback, and without tokens only loopback is allowed (use 127.0.0.1, or --token-file)`,
    );
  }
  return { host, port };
}

/** Longest path in the address of a Unix socket, without the terminating zero, in bytes. */
const SOCKET_PATH_BYTES_MAX = 107;

/** Address of a QMP socket. QMP has no tokens, so only Unix sockets and loopback are allowed. */
export type QmpAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number };

/** unix:PATH or tcp:HOST:PORT. */
export function parseQmpAddress(text: string): QmpAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    if (path === '') throw new ConfigError('--qmp unix: has no path');
    if (Buffer.byteLength(path) > SOCKET_PATH_BYTES_MAX) {
      throw new ConfigError(`--qmp ${text}: the path of a socket has ${SOCKET_PATH_BYTES_MAX} bytes at most`);
    }
    return { kind: 'unix', path };
  }
  const match = /^tcp:(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw new ConfigError(`--qmp must be unix:PATH or tcp:HOST:PORT, not "${text}"`);
  const port = parseCount('the port of --qmp', match?.[3] ?? '', { min: 0, max: PORT_MAX });
  if (!isLoopback(host)) {
    throw new ConfigError(`--qmp ${text} is not on loopback, and QMP has no tokens (use 127.0.0.1, or unix:PATH)`);
  }
  return { kind: 'tcp', host, port };
}

function isLoopback(host: string): boolean {
  if (host === 'localhost' || host === '::1') return true;
  const parts = /^127\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host)?.slice(1);
  return parts?.every((part) => Number(part) <= 255) ?? false;
}

const WORKLOAD_MEMBERS = ['rate', 'span', 'pattern', 'fill', 'check'];

/** The workload; missing members have their defaults. A default span is at most the RAM. */
export function parseWorkload(text: string, ramBytes: number): WorkloadSpec {
  const given = new Map<string, string>();
  for (const part of text.split(',').filter((piece) => piece !== '')) {
    const [name, value] = parseAssignment('--workload', part);
    if (!WORKLOAD_MEMBERS.includes(name)) {
      throw new ConfigError(`--workload has no "${name}"; it has ${WORKLOAD_MEMBERS.join(', ')}`);
    }
    if (given.has(name)) throw new ConfigError(`--workload ${name} is given twice`);
    given.set(name, value);
  }
  const span = parseSize('--workload span', given.get('span') ?? DEFAULT_SPAN);
  if (given.has('span') && (span < PAGE_BYTES || span > ramBytes)) {
    throw new ConfigError(`--workload span must be from ${PAGE_BYTES} to the RAM (${ramBytes}), not ${span}`);
  }
  const check = given.get('check') ?? 'auto';
  return {
    rate: parseRate('--workload rate', given.get('rate') ?? '20M'),
    span: Math.min(span, ramBytes),
    pattern: parseChoice('--workload pattern', given.get('pattern') ?? 'hot', ['hot', 'seq', 'random']),
    fill: parseChoice('--workload fill', given.get('fill') ?? 'quarter', ['quarter', 'zero', 'text', 'random']),
    check: check === 'auto' ? check : parseRate('--workload check', check),
  };
}

function parseRate(flag: string, text: string): number {
  const rate = parseSize(flag, text);
  if (rate > RATE_MAX) throw new ConfigError(`${flag} must be at most 1T (bytes/s), not "${text}"`);
  return rate;
}

/** Every origin; allowed only with tokens. */
export const ANY_ORIGIN = '*';

/**
 * Web origins whose pages may use the API, in the form of the header Origin. `*` needs tokens: without them every page in a
 * browser on this host could use the machine.
 */
export function parseOrigins(list: readonly string[], hasTokens: boolean): readonly string[] {
  if (list.includes(ANY_ORIGIN) && !hasTokens) {
    throw new ConfigError('--allow-origin * would let every web page use the machine; it needs --token-file');
  }
  return [...new Set(list.map((text) => (text === ANY_ORIGIN ? text : parseOrigin(text))))];
}

function parseOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isWeb = url !== null && (url.protocol === 'http:' || url.protocol === 'https:');
  // An origin ends after its port: no path, no query, and no slash.
  if (isWeb && /^https?:\/\/[^/?#@\\\s]+$/i.test(text) && url.host !== '' && !url.host.includes('*')) return url.origin;
  throw new ConfigError(
    `--allow-origin must be * or an origin such as https://dashboard.example or http://localhost:3000, without a path, not "${text}"`,
  );
}
