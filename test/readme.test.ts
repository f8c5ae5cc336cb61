// The README says what really happens: its curl sessions are run, its lists and links are held against the source.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NOT_AVAILABLE } from '../src/config/flags.ts';
import { CAPABILITIES_NOT_AVAILABLE, PARAMETERS_NOT_AVAILABLE } from '../src/domain/options/not-available.ts';
import { ask, listen, startApp, testConfig } from './helpers/app.ts';

const ROOT = join(import.meta.dirname, '..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  readonly scripts: Readonly<Record<string, string>>;
};
/** Sections whose commands follow each other and need nothing but the service. */
const RUN_HERE = ['vmferry', 'Watch and steer'];
const ANSWER_MS_MAX = 10_000;

type Step = { readonly command: string; readonly expected: string };

describe('the sessions of the README', () => {
  it('run as they are shown', { timeout: 60_000 }, async () => {
    const steps = RUN_HERE.flatMap((title) => stepsOf(sectionOf(title)));
    const services = new Services();
    for (const { command, expected } of steps) {
      if (command.startsWith('npm start')) await services.start(command);
      else if (command.startsWith('curl ')) await services.expectAnswer(command, expected);
      else expect(command).toBe('npm ci');
    }
    expect(services.count).toBe(3);
    expect(services.answered).toBeGreaterThan(10);
  });
});

describe('an answer of the README', () => {
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
    ['a text where a number was', got.replace('7', '"7"')],
    ['something behind its end', `${got}{}`],
  ])('does not match %s', (_, text) => {
    expect(text).not.toMatch(patternOf(shown));
  });
});

describe('what the README says is not there yet', () => {
  const section = sectionOf('Not there yet');

  it('names all capabilities that are refused, and no others', () => {
    const row = rowOf(section, 'capability_not_available');
    expect(codesOf(row).sort()).toEqual([...CAPABILITIES_NOT_AVAILABLE].sort());
  });

  it('names all parameters that are refused', () => {
    const row = rowOf(section, 'parameter_not_available');
    expect(codesOf(row)).toEqual(expect.arrayContaining(PARAMETERS_NOT_AVAILABLE.map(({ name }) => name)));
  });

  it('names all flags that are refused', () => {
    const flags = codesOf(rowOf(section, 'exit status 2'));
    expect(flags).toEqual(expect.arrayContaining(Object.keys(NOT_AVAILABLE).map((name) => `--${name}`)));
  });
});

describe('what the README points at', () => {
  it('exists in the repository', () => {
    const links = [...README.matchAll(/\]\(([^):]+)\)/g)].map((match) => match[1] ?? '');
    expect(links.length).toBeGreaterThan(5);
    expect(links.filter((link) => !existsSync(join(ROOT, link)))).toEqual([]);
  });

  it('is a script of package.json', () => {
    const scripts = [...README.matchAll(/npm run ([\w:]+)/g)].map((match) => match[1] ?? '');
    expect(scripts.length).toBeGreaterThan(3);
    expect(scripts.filter((name) => !Object.hasOwn(PACKAGE.scripts, name))).toEqual([]);
  });
});

/** What stands below a heading, up to the next. */
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

/** What stands in backquotes in a row's first column, without the values of flags. */
function codesOf(row: string): string[] {
  const first = row.split('|')[1] ?? '';
  return [...first.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '').filter((code) => code !== 'normal');
}

/** The commands of a section's sh and console blocks, in their order, with what the README shows below each. */
function stepsOf(section: string): Step[] {
  return [...section.matchAll(/^```(sh|console)\n(.*?)^```$/gms)].flatMap(([, kind, text = '']) => {
    if (kind === 'sh')
      return text
        .trimEnd()
        .split('\n')
        .map((command) => ({ command, expected: '' }));
    return text
      .split(/^\$ /m)
      .slice(1)
      .map((step) => {
        const [command = '', ...expected] = step.trimEnd().split('\n');
        return { command, expected: expected.join('\n') };
      });
  });
}

/** Figures, ids and times may differ, `…` is anything; the rest is as it is shown. */
function patternOf(expected: string): RegExp {
  const parts = expected.split('\n').map((line) => (line === '…' ? '[^]*' : linePattern(line)));
  return new RegExp(`^${parts.join('\n')}\\s*$`);
}

function linePattern(line: string): string {
  if (line.startsWith('HTTP/')) return escaped(line);
  return line
    .split('…')
    .map((part) =>
      escaped(part)
        .replaceAll(/[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}/g, '[0-9a-f-]{36}')
        .replaceAll(/(?<=":)\d+(?:\\\.\d+)?(?=[,}]|$)/g, '\\d+(?:\\.\\d+)?')
        .replaceAll(/\d+\\\.\d(?= MB\/s)/g, '\\d+\\.\\d'),
    )
    .join('[^\\n]*');
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** The services that the README starts, on free ports, and the ports that stand for them in the README. */
class Services {
  /** By the port in the README. */
  readonly #ports = new Map<string, number>();
  count = 0;
  answered = 0;

  /** `npm start -- FLAGS`: as it is, but for ports and the data directory. */
  async start(command: string): Promise<void> {
    const flags = words(command)
      .slice(2)
      .filter((word) => word !== '--');
    const take = (name: string): string | null => {
      const index = flags.indexOf(name);
      return index < 0 ? null : (flags.splice(index, 2)[1] ?? null);
    };
    const http = take('--http') ?? '127.0.0.1:8080';
    take('--data');
    const incoming = take('--incoming');
    if (incoming !== null) flags.push('--incoming', incoming.replace(/:\d+$/, ':0'));
    const { server } = await startApp(testConfig(flags));
    this.#ports.set(portOf(http), await listen(server));
    if (incoming !== null) {
      const addresses = (await ask(server, '/migrate')).json['socket-address'] as readonly { readonly port: string }[];
      this.#ports.set(portOf(incoming), Number(addresses[0]?.port));
    }
    this.count += 1;
  }

  /** Asks until the answer is as shown if it only looks, and once if it does something. */
  async expectAnswer(command: string, expected: string): Promise<void> {
    const request = requestOf(this.#adapted(command));
    const pattern = patternOf(this.#adapted(expected));
    const answer = async (): Promise<string> => (await fetchAsCurl(request)).trimEnd();
    if (request.method === 'GET') await expect.poll(answer, { timeout: ANSWER_MS_MAX, interval: 20 }).toMatch(pattern);
    else expect(await answer()).toMatch(pattern);
    this.answered += 1;
  }

  #adapted(text: string): string {
    return text.replaceAll(/(?<=(?:localhost|127\.0\.0\.1):)\d+/g, (port) => String(this.#ports.get(port) ?? port));
  }
}

function portOf(address: string): string {
  return address.split(':').at(-1) ?? '';
}

/** The words of a shell command; single quotes are all that the README needs. */
function words(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '');
}

type CurlRequest = {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string | null;
  showsHead: boolean;
};

/** @throws Error for an option of curl that the README does not use so far. */
function requestOf(command: string): CurlRequest {
  const rest = words(command).slice(1);
  const request: CurlRequest = { method: '', url: '', headers: {}, body: null, showsHead: false };
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '-i') request.showsHead = true;
    else if (word === '-X') request.method = rest.shift() ?? '';
    else if (word === '-d') request.body = rest.shift() ?? '';
    else if (word === '-H') {
      const [name = '', value = ''] = (rest.shift() ?? '').split(': ');
      request.headers[name] = value;
    } else if (word.startsWith('-') || request.url !== '') throw new Error(`curl ${word} is not known here`);
    else request.url = `http://${word.replace('localhost', '127.0.0.1')}`;
  }
  request.method ||= request.body === null ? 'GET' : 'POST';
  return request;
}

/** What curl would print. */
async function fetchAsCurl({ url, showsHead, body, method, headers }: CurlRequest): Promise<string> {
  const reply = await fetch(url, { method, headers, ...(body === null ? {} : { body }) });
  const text = await reply.text();
  if (!showsHead) return text;
  const head = [...reply.headers].map(([name, value]) => `${name}: ${value}`).sort(byLocationFirst);
  return [`HTTP/1.1 ${reply.status} ${reply.statusText}`, ...head, '', text].join('\n');
}

/** fetch sorts headers by name, the service sends location first. */
function byLocationFirst(one: string, other: string): number {
  return Number(other.startsWith('location')) - Number(one.startsWith('location'));
}
