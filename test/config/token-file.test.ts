import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/config/flag-values.ts';
import { readTokenFile, TOKENS_MAX } from '../../src/config/token-file.ts';
import { temporaryDirectory, testConfig, tokenFile } from '../helpers/app.ts';

const LONG = 'a-token-that-nobody-guesses';
const digestOf = (token: string) => createHash('sha256').update(token).digest('hex');

describe('a token file', () => {
  test('has one token and role on each line; empty lines and comments are ignored', () => {
    const path = tokenFile(['# who looks', `${LONG} viewer`, '', `  ${LONG}2==\toperator \r`]);
    expect(readTokenFile(path)).toEqual({
      tokens: [
        { digest: digestOf(LONG), role: 'viewer', expiresMs: null },
        { digest: digestOf(`${LONG}2==`), role: 'operator', expiresMs: null },
      ],
      warnings: [],
    });
  });

  test('may have an expiry for a token, with a warning for an expired token', () => {
    const lines = [`${LONG} viewer 2999-01-31T18:00:00+01:00`, `${LONG}2 viewer 2001-01-31`];
    const { tokens, warnings } = readTokenFile(tokenFile(lines));
    expect(tokens.map(({ expiresMs }) => expiresMs)).toEqual([Date.UTC(2999, 0, 31, 17), Date.UTC(2001, 0, 31)]);
    expect(warnings).toEqual(['the token in line 2 of --token-file has expired']);
  });

  test.each([
    [
      'no role',
      [LONG],
      'line 1 of --token-file must be a token, a space, viewer or operator, and optionally its expiry',
    ],
    ['another role', ['# one', `${LONG} admin`], 'line 2 of --token-file'],
    ['too many words', [`${LONG} viewer 2999-01-31 really`], 'line 1 of --token-file must be a token, a space, viewer'],
    [
      'no time',
      [`${LONG} viewer really`],
      'the expiry of the token in line 1 of --token-file must be in the form 2027-01-31',
    ],
    ['an impossible date', [`${LONG} viewer 2999-13-31`], 'the expiry of the token in line 1 of --token-file'],
    ['a time without a zone', [`${LONG} viewer 2999-01-31T18:00:00`], 'the expiry of the token in line 1'],
    ['an invalid character in a token', [`${LONG}! viewer`], 'the token in line 1 of --token-file must be'],
    ['a token that is too long', [`${'x'.repeat(513)} viewer`], 'must be 1 to 512'],
    ['a duplicate token', [`${LONG} viewer`, `${LONG} operator`], 'line 2 of --token-file repeats the token'],
    ['no token', ['# none'], 'contains no token'],
    [
      'too many tokens',
      Array.from({ length: TOKENS_MAX + 1 }, (_, index) => `${LONG}${index} viewer`),
      `more than ${TOKENS_MAX} tokens`,
    ],
    ['too many bytes', ['#'.repeat(2 ** 20)], 'larger than'],
  ])('is refused with one line that does not contain the token: %s', (_what, lines, message) => {
    const path = tokenFile(lines);
    const read = () => readTokenFile(path);
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(message);
    expect(read).toThrow(/^[^\n]*$/);
    expect(read).not.toThrow(new RegExp(LONG));
  });

  test('that others can read gives a warning, and one that others can write is refused', () => {
    const path = tokenFile([`${LONG} viewer`]);
    chmodSync(path, 0o644);
    expect(readTokenFile(path).warnings).toEqual([
      `--token-file ${path} is readable by other users than its owner (chmod 600)`,
    ]);
    chmodSync(path, 0o602);
    expect(() => readTokenFile(path)).toThrow('is writable by other users');
  });

  test('with a token that can be guessed gives a warning with its line', () => {
    expect(readTokenFile(tokenFile(['abc viewer'])).warnings).toEqual([
      'the token in line 1 of --token-file is short enough to be guessed',
    ]);
  });

  test('that does not exist, or is a directory, is refused', () => {
    const directory = temporaryDirectory();
    expect(() => readTokenFile(join(directory, 'none'))).toThrow('cannot be read: ENOENT');
    mkdirSync(join(directory, 'sub'));
    chmodSync(join(directory, 'sub'), 0o700);
    expect(() => readTokenFile(join(directory, 'sub'))).toThrow('cannot be read: EISDIR');
  });

  test('allows a listener off loopback, and its text is not in the configuration', () => {
    const path = tokenFile([`${LONG} operator`]);
    const config = testConfig(['--token-file', path]);
    expect(config.tokens).toHaveLength(1);
    expect(JSON.stringify(config)).not.toContain(LONG);
    writeFileSync(path, `${LONG} operator\n`);
    expect(testConfig(['--token-file', path]).http.host).toBe('127.0.0.1');
  });
});
