import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import { readMoment } from '../text/moment.ts';
import { ConnectionLost, EXIT, Failure } from './client-failure.ts';

/* Values of options and environment variables: text in, checked values out. */

export const URL_DEFAULT = 'http://127.0.0.1:8080';
export const RECONNECT_SECONDS_DEFAULT = 30;
export const WATCH_SECONDS_DEFAULT = 1;
const SECONDS_MAX = 1_000_000;
const INTERVAL_SECONDS_MIN = 0.1;
const MEASURE_SECONDS_MIN = 0.05;
const MEASURE_SECONDS_MAX = 60;
const LIMIT_MAX = 1000;
const PROCESS_ID_MAX = 2 ** 31 - 1;
const ADDRESS_BYTES_MAX = 4096;

/** A number of seconds. @throws InvalidArgumentError, to which commander adds the name of the option. */
export function parseSeconds(text: string): number {
  const seconds = /^\d{1,7}(?:\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds <= SECONDS_MAX) return seconds;
  throw new InvalidArgumentError(
    `It must be a number of seconds from 0 to ${SECONDS_MAX} without a unit, such as 90 or 0.5.`,
  );
}

/** Length of a dirty-rate measurement in seconds. @throws InvalidArgumentError */
export function parseMeasureSeconds(text: string): number {
  const seconds = parseSeconds(text);
  if (seconds >= MEASURE_SECONDS_MIN && seconds <= MEASURE_SECONDS_MAX) return seconds;
  throw new InvalidArgumentError(`It must be from ${MEASURE_SECONDS_MIN} to ${MEASURE_SECONDS_MAX} seconds.`);
}

/** A whole number. @throws InvalidArgumentError */
export function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number.');
}

/** Number of list entries. @throws InvalidArgumentError */
export function parseLimit(text: string): number {
  const count = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= 1 && count <= LIMIT_MAX) return count;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${LIMIT_MAX}; --all prints all.`);
}

const MOMENT = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?$/i;

/** A date, or a date and a time, as ISO 8601 in UTC. Without a zone it is local time. @throws InvalidArgumentError */
export function parseMoment(text: string): string {
  const [, date, time = '00:00', seconds = ':00', zone] = MOMENT.exec(text) ?? [];
  const local = `${date}T${time}${seconds}`;
  if (date !== undefined && readMoment(`${local}${zone ?? 'Z'}`) !== null) {
    return new Date(`${local}${zone ?? ''}`.toUpperCase()).toISOString();
  }
  throw new InvalidArgumentError('It must be a time such as 2025-06-01, 2025-06-01T12:00 or 2025-06-01T12:00:00Z.');
}

/** A process number. @throws InvalidArgumentError */
export function parseProcessId(text: string): number {
  const pid = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (pid >= 1 && pid <= PROCESS_ID_MAX) return pid;
  throw new InvalidArgumentError('It must be the number of a process, such as $! in a shell.');
}

/** A whole number of seconds, at least 1. @throws InvalidArgumentError */
export function parseWholeSeconds(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a whole number of seconds, from 1 to 999999999.');
}

/** A text that is not empty. @throws InvalidArgumentError */
export function parseWord(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

/** An idempotency key, which is sent in a header field. @throws InvalidArgumentError */
export function parseKey(text: string): string {
  if (/^[\x20-\x7e]{1,255}$/.test(text) && text.trim() === text) return text;
  throw new InvalidArgumentError('It must be 1 to 255 printable ASCII characters, no space first or last.');
}

/** Adds the value of a repeatable option. @throws InvalidArgumentError */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), parseWord(text)];
}

/** Interval of --watch in seconds. @throws InvalidArgumentError */
export function parseInterval(text: string): number {
  const seconds = parseSeconds(text);
  if (seconds >= INTERVAL_SECONDS_MIN) return seconds;
  throw new InvalidArgumentError(`It must be at least ${INTERVAL_SECONDS_MIN} seconds.`);
}

/** Number of an event, as text. @throws InvalidArgumentError */
export function parseEventNumber(text: string): string {
  if (/^\d{1,15}$/.test(text)) return text;
  throw new InvalidArgumentError('It must be the number of an event.');
}

/** Adds one NAME=VALUE argument. @throws InvalidArgumentError */
export function parseAssignment(text: string, before: readonly Assignment[] | undefined): readonly Assignment[] {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be NAME=VALUE.');
  const name = text.slice(0, at);
  if (before?.some(([other]) => other === name)) throw new InvalidArgumentError(`${name} is given twice.`);
  return [...(before ?? []), [name, text.slice(at + 1)]];
}

export type Assignment = readonly [name: string, text: string];

export type AddressOptions = { readonly url?: string; readonly urlFile?: string };

/**
 * Address of the service: from --url or the file of --url-file, else from VMFERRY_URL or the file of VMFERRY_URL_FILE.
 * @throws Failure if the text is not an address.
 * @throws ConnectionLost while the file does not exist: the service writes it when it is ready.
 */
export function serviceUrl(
  { url, urlFile }: AddressOptions,
  environment: { readonly url: string | undefined; readonly urlFile?: string | undefined },
): URL {
  if (url !== undefined && urlFile !== undefined) {
    throw new Failure(EXIT.usage, '--url and --url-file exclude each other; see --help');
  }
  if (url !== undefined) return checkedUrl('--url', url);
  if (urlFile !== undefined) return urlInFile('--url-file', urlFile);
  if (environment.url) return checkedUrl('VMFERRY_URL', environment.url);
  if (environment.urlFile) return urlInFile('VMFERRY_URL_FILE', environment.urlFile);
  return new URL(URL_DEFAULT);
}

function urlInFile(name: string, path: string): URL {
  try {
    return checkedUrl(`${name} ${path}`, readFileSync(path, 'utf8').slice(0, ADDRESS_BYTES_MAX).trim());
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') throw new Failure(EXIT.usage, `${name} ${path} cannot be read: ${message}`);
    throw new ConnectionLost(`no service is ready: ${name} ${path} does not exist`, { mayHaveArrived: false });
  }
}

function checkedUrl(name: string, text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isPlain = url !== null && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (isPlain && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new Failure(EXIT.usage, `${name} must be an address such as ${URL_DEFAULT}, not "${text}"`);
}

/**
 * The bearer token from the file of --token-file, else from VMFERRY_TOKEN; null if there is none. Errors never contain the
 * token, which is a secret.
 * @throws Failure if the file cannot be read, or contains no valid token.
 */
export function serviceToken(file: string | undefined, variable: string | undefined): string | null {
  if (file !== undefined) return checkedToken(`the file ${file}`, tokenIn(file));
  return variable === undefined || variable === '' ? null : checkedToken('VMFERRY_TOKEN', variable);
}

function tokenIn(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Failure(EXIT.usage, `--token-file cannot be read: ${(error as Error).message}`);
  }
}

function checkedToken(where: string, token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new Failure(EXIT.usage, `${where} must be one token of visible ASCII characters`);
}
