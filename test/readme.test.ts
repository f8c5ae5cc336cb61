// The README's lists and links are compared with the source. test/readme-followed.test.ts runs its commands.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NOT_AVAILABLE } from '../src/config/flags.ts';
import { CAPABILITIES_NOT_AVAILABLE, PARAMETERS_NOT_AVAILABLE } from '../src/domain/settings/declared-settings.ts';
import { patternOf, README } from './helpers/readme.ts';

const ROOT = join(import.meta.dirname, '..');
const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};
describe('an answer in the README', () => {
  const shown = 'HTTP/1.1 200 OK\n…\n{"id":"73d8b038-1928-47b4-a39b-6592bcff6398","total":535,…,"status":"completed"}';
  const got =
    'HTTP/1.1 200 OK\na: b\n\n{"id":"fc086aae-e252-4619-b628-5ee6ee5d0921","total":7,"x":1,"status":"completed"}';

  it('matches one with other ids and figures', () => {
    expect(got).toMatch(patternOf(shown));
  });

  it.each([
    ['another status line', got.replace('200 OK', '202 Accepted')],
    ['another word', got.replace('completed', 'failed')],
    ['a member of another name', got.replace('total', 'sum')],
    ['a text in place of a number', got.replace('7', '"7"')],
    ['additional text after its end', `${got}{}`],
  ])('does not match %s', (_, text) => {
    expect(text).not.toMatch(patternOf(shown));
  });
});

describe('the list of missing features in the README', () => {
  const section = sectionOf('Not there yet');

  it('contains all refused capabilities, and no others', () => {
    const row = rowOf(section, 'capability_not_available');
    expect(codesOf(row).sort()).toEqual([...CAPABILITIES_NOT_AVAILABLE].sort());
  });

  it('contains all refused parameters', () => {
    const row = rowOf(section, 'parameter_not_available');
    expect(codesOf(row)).toEqual(expect.arrayContaining(PARAMETERS_NOT_AVAILABLE.map(({ name }) => name)));
  });

  it('contains all refused flags', () => {
    const flags = codesOf(rowOf(section, 'exit status 2'));
    expect(flags).toEqual(expect.arrayContaining(Object.keys(NOT_AVAILABLE).map((name) => `--${name}`)));
  });
});

describe('each reference in the README', () => {
  it('exists in the repository if it is a path', () => {
    const links = [...README.matchAll(/\]\(([^):]+)\)/g)].map((match) => match[1] ?? '');
    expect(links.length).toBeGreaterThan(5);
    expect(links.filter((link) => !existsSync(join(ROOT, link)))).toEqual([]);
  });

  it('is a script of package.json if it is a command of npm', () => {
    const scripts = [...README.matchAll(/npm run ([\w:]+)/g)].map((match) => match[1] ?? '');
    expect(scripts.length).toBeGreaterThan(3);
    expect(scripts.filter((name) => !Object.hasOwn(PACKAGE.scripts, name))).toEqual([]);
  });
});

/** The text below a heading, up to the next. */
function sectionOf(title: string): string {
  const sections = README.split(/^#{1,2} /m);
  const found = sections.find((section) => section.startsWith(`${title}\n`));
  if (found === undefined) throw new Error(`the README has no section "${title}"`);
  return found;
}

function rowOf(section: string, part: string): string {
  const row = section.split('\n').find((line) => line.startsWith('|') && line.includes(part));
  if (row === undefined) throw new Error(`no row has "${part}"`);
  return row;
}

/** The texts in backquotes in the first column of a row, without the values of flags. */
function codesOf(row: string): string[] {
  const first = row.split('|')[1] ?? '';
  return [...first.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '').filter((code) => code !== 'normal');
}
