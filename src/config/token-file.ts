import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { ConfigError } from './flag-values.ts';

/** A bearer token in the service: only its digest, never its text. */
export type AccessToken = {
  /** SHA-256 in hexadecimal. */
  readonly digest: string;
  readonly role: 'viewer' | 'operator';
  /** Expiry in milliseconds since 1970; null: never. */
  readonly expiresMs: number | null;
};

/** Tokens of a file, and warnings about them. */
export type TokenFile = { readonly tokens: readonly AccessToken[]; readonly warnings: readonly string[] };

/** Maximum number of tokens in one file. */
export const TOKENS_MAX = 1000;
export const TOKEN_LENGTH_MAX = 512;
/** A shorter token can be guessed: requests with valid tokens are not limited in rate, so only the length prevents it. */
const TOKEN_LENGTH_ADVISED = 20;
const FILE_BYTES_MAX = 2 ** 20;

/** Form of a bearer token in RFC 6750. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
/** A date, or a date and a time with its zone (RFC 3339). */
const TIME = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2}))?$/;
const GROUP_OR_OTHERS_WRITE = 0o022;
const OTHERS_READ = 0o004;

/**
 * Reads a file with the lines `TOKEN operator [EXPIRY]` and `TOKEN viewer [EXPIRY]`. Empty lines and lines that begin with `#`
 * are ignored.
 * @throws ConfigError with the number of the line, but never with its text.
 */
export function readTokenFile(path: string): TokenFile {
  const { text, warnings } = readSecret(path);
  const tokens = new Map<string, AccessToken>();
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.trim();
    if (words === '' || words.startsWith('#')) continue;
    const place = `line ${index + 1} of --token-file`;
    const { token, length } = parseLine(words, place);
    if (length < TOKEN_LENGTH_ADVISED) warnings.push(`the token in ${place} is short enough to be guessed`);
    const { expiresMs } = token;
    if (expiresMs !== null && expiresMs <= Date.now()) warnings.push(`the token in ${place} has expired`);
    if (tokens.has(token.digest)) throw new ConfigError(`${place} repeats the token of an earlier line`);
    if (tokens.size === TOKENS_MAX) throw new ConfigError(`--token-file has more than ${TOKENS_MAX} tokens`);
    tokens.set(token.digest, token);
  }
  if (tokens.size === 0) throw new ConfigError(`--token-file ${path} contains no token`);
  return { tokens: [...tokens.values()], warnings };
}

function parseLine(words: string, place: string): { readonly token: AccessToken; readonly length: number } {
  const [text = '', role, expires, ...rest] = words.split(/\s+/);
  if (rest.length > 0 || (role !== 'viewer' && role !== 'operator')) {
    throw new ConfigError(`${place} must be a token, a space, viewer or operator, and optionally its expiry`);
  }
  if (text.length > TOKEN_LENGTH_MAX || !TOKEN.test(text)) {
    throw new ConfigError(
      `the token in ${place} must be 1 to ${TOKEN_LENGTH_MAX} letters, digits, "-", ".", "_", "~", "+" and "/"`,
    );
  }
  const digest = createHash('sha256').update(text).digest('hex');
  return {
    token: { digest, role, expiresMs: expires === undefined ? null : timeOf(expires, place) },
    length: text.length,
  };
}

function timeOf(text: string, place: string): number {
  const ms = TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(ms)) return ms;
  throw new ConfigError(`the expiry of the token in ${place} must be in the form 2027-01-31 or 2027-01-31T18:00:00Z`);
}

/** Reads a file that only its owner may write. If others may read it, there is a warning. */
function readSecret(path: string): { readonly text: string; readonly warnings: string[] } {
  let file: number | null = null;
  try {
    file = openSync(path, 'r');
    const { mode, size } = fstatSync(file);
    if ((mode & GROUP_OR_OTHERS_WRITE) !== 0) {
      throw new ConfigError(`--token-file ${path} is writable by other users than its owner (chmod 600)`);
    }
    if (size > FILE_BYTES_MAX) throw new ConfigError(`--token-file ${path} is larger than ${FILE_BYTES_MAX} bytes`);
    const isOpenToOthers = (mode & OTHERS_READ) !== 0;
    const warnings = isOpenToOthers
      ? [`--token-file ${path} is readable by other users than its owner (chmod 600)`]
      : [];
    return { text: readFileSync(file, 'utf8'), warnings };
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    throw new ConfigError(`--token-file ${path} cannot be read: ${code}`);
  } finally {
    if (file !== null) closeSync(file);
  }
}
