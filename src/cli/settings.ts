import { InvalidArgumentError } from 'commander';
import { EXIT } from './exit-status.ts';
import { Failure } from './failure.ts';

/* Values of options and variables: text in, checked values out. */

export const URL_DEFAULT = 'http://127.0.0.1:8080';
export const RECONNECT_SECONDS_DEFAULT = 30;
const SECONDS_MAX = 1_000_000;

/** @throws InvalidArgumentError, which commander tells with the option's name. */
export function parseSeconds(text: string): number {
  const seconds = /^\d{1,7}(?:\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds <= SECONDS_MAX) return seconds;
  throw new InvalidArgumentError(`It must be a number of seconds from 0 to ${SECONDS_MAX}, such as 90 or 0.5.`);
}

/** @throws InvalidArgumentError for an empty text. */
export function parseWord(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

/** A key goes into a header, which takes no other characters. @throws InvalidArgumentError */
export function parseKey(text: string): string {
  if (/^[\x20-\x7e]{1,255}$/.test(text) && text.trim() === text) return text;
  throw new InvalidArgumentError('It must be 1 to 255 printable ASCII characters, no space first or last.');
}

/** One more value of an option that may be repeated. */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), parseWord(text)];
}

/** Address of the service from --url, else from VMFERRY_URL. @throws Failure */
export function serviceUrl(option: string | undefined, variable: string | undefined): URL {
  const [name, text] = option === undefined ? ['VMFERRY_URL', variable || URL_DEFAULT] : ['--url', option];
  const url = URL.canParse(text) ? new URL(text) : null;
  const isPlain = url !== null && url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (isPlain && (url.protocol === 'http:' || url.protocol === 'https:')) return url;
  throw new Failure(EXIT.usage, `${name} must be an address such as ${URL_DEFAULT}, not "${text}"`);
}

/** The bearer token from VMFERRY_TOKEN; null if there is none. @throws Failure */
export function serviceToken(variable: string | undefined): string | null {
  if (variable === undefined || variable === '') return null;
  // Its value is a secret and is not told.
  if (!/^[\x21-\x7e]+$/.test(variable)) throw new Failure(EXIT.usage, 'VMFERRY_TOKEN must be visible ASCII characters');
  return variable;
}

/** As QEMU names a snapshot that was given no name, in local time: `vm-20261124021530`. */
export function generatedTag(date: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}${two(date.getMonth() + 1)}${two(date.getDate())}`;
  return `vm-${day}${two(date.getHours())}${two(date.getMinutes())}${two(date.getSeconds())}`;
}
