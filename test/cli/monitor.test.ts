import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ExitStatus } from '../../src/cli/client-failure.ts';
import { historyPath } from '../../src/cli/monitor-prompt.ts';
import { FakeIo, ioOf, runVmferry } from './fake-io.ts';
import { type Answer, type FakeService, fakeService, ok, problem, type Seen } from './fake-service.ts';

/** A monitor that answers each line with the same text. */
async function echoing(more: (seen: Seen) => Answer | null = () => null): Promise<FakeService> {
  const service = await fakeService();
  service.handler = (seen) => {
    const other = more(seen);
    if (other !== null) return other;
    if (seen.path !== '/hmp') return problem(404, 'not_found');
    return { status: 200, headers: { 'content-type': 'text/plain' }, pieces: [`you said `, `${seen.body}\r\n`] };
  };
  return service;
}

function linesTo(service: FakeService): unknown[] {
  return service.requests.filter(({ path }) => path === '/hmp').map(({ body }) => body);
}

describe('monitor without a terminal', () => {
  test('answers line by line, until quit', async () => {
    const service = await echoing();
    const io = ioOf(service);
    io.input.end('info status\n\n  \ninfo migrate\nquit\ninfo jobs\n');
    expect(await runVmferry(io, 'monitor')).toBe(0);
    expect([io.stdout, io.stderr]).toEqual(['you said info status\nyou said info migrate\n', '']);
    expect(linesTo(service)).toEqual(['info status', 'info migrate']);
    expect(service.requests[0]?.headers['content-type']).toBe('text/plain; charset=utf-8');
  });

  test('prints a JSON line for each answer with --json', async () => {
    const io = ioOf(await echoing());
    io.input.end('a\nb');
    expect(await runVmferry(io, 'monitor', '--json')).toBe(0);
    expect(io.lines).toEqual([
      { type: 'output', line: 'a', text: 'you said a\n' },
      { type: 'output', line: 'b', text: 'you said b\n' },
    ]);
  });

  test('continues after a refusal, and ends with 4', async () => {
    const service = await echoing((seen) => (seen.body === 'bad' ? problem(403, 'not_allowed', 'No.') : null));
    const io = ioOf(service);
    io.input.end('bad\ngood\n');
    expect(await runVmferry(io, 'monitor')).toBe(4);
    expect(io.stdout).toBe('you said good\n');
    expect(io.stderr).toBe('vmferry: monitor: bad: refused (403 not_allowed): No.\n');
  });

  test('ends with 4 if an answer is an error text of the monitor', async () => {
    const service = await echoing(({ body }) =>
      body === 'bad' ? { status: 200, pieces: ['a\nErr', 'or: No.\r\n'] } : null,
    );
    const io = ioOf(service);
    io.input.end('bad\ngood\n');
    expect(await runVmferry(io, 'monitor')).toBe(4);
    expect(io.stdout).toBe('a\nError: No.\nyou said good\n');
  });

  test('prints no control characters from the service', async () => {
    const service = await echoing(() => ({ status: 200, pieces: ['a\u001b[2Jb\tc\u202e\n'] }));
    const io = ioOf(service);
    io.input.end('x\n');
    await runVmferry(io, 'monitor');
    expect(io.stdout).toBe('a [2Jb\tc \n');
  });

  test('ends with 3 if no service listens', async () => {
    const service = await echoing();
    await service.stop();
    const io = ioOf(service);
    io.input.end('a\nb\n');
    expect(await runVmferry(io, 'monitor')).toBe(3);
    expect(io.stderr.match(/nothing listens there/g)).toHaveLength(1);
  });

  test('ends with 130 at an interrupt', async () => {
    const io = ioOf(await echoing());
    const ended = runVmferry(io, 'monitor');
    io.input.write('a\n');
    await expect.poll(() => io.stdout).toContain('you said a');
    io.signal('SIGINT');
    expect(await ended).toBe(130);
  });
});

type Terminal = {
  readonly io: FakeIo;
  readonly ended: Promise<ExitStatus>;
  type(text: string): void;
  /** All output, without cursor movements. */
  shown(): string;
};

/** `vmferry monitor` at a terminal. */
function prompt(service: FakeService, ...words: string[]): Terminal {
  const io = ioOf(service);
  io.outWidth = 80;
  const input = new PassThrough();
  const output = new PassThrough();
  let shown = '';
  output.on('data', (chunk) => {
    shown += String(chunk);
  });
  io.terminal = { input, output };
  const ended = runVmferry(io, 'monitor', ...words);
  onTestFinished(() => io.signal('SIGTERM'));
  const withoutMoves = () => shown.replaceAll(/\u001b\[\d*[A-LN-Za-ln-z]/g, '');
  return { io, ended, type: (text) => void input.write(text), shown: withoutMoves };
}

function historyFile(text: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-history-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'deep/er/history');
  if (text === '') return file;
  const there = join(directory, 'history');
  writeFileSync(there, text);
  return there;
}

describe('the prompt', () => {
  test('answers typed lines, and ends at quit', async () => {
    const service = await echoing();
    const { ended, type, shown } = prompt(service, '--no-history');
    type('info status\r');
    await expect.poll(shown).toContain('you said info status');
    type('quit\r');
    expect(await ended).toBe(0);
    expect(linesTo(service)).toEqual(['info status']);
    expect(shown()).toContain('(vmferry) ');
  });

  test('ends at Ctrl-D', async () => {
    const { ended, type, shown } = prompt(await echoing(), '--no-history');
    await expect.poll(shown).toContain('(vmferry) ');
    type('\u0004');
    expect(await ended).toBe(0);
  });

  test('stores its history in a file that only its owner can read', async () => {
    const file = historyFile('');
    const { ended, type, shown } = prompt(await echoing(), '--history-file', file);
    type('first\rsecond\r');
    await expect.poll(shown).toContain('you said second');
    type('quit\r');
    await ended;
    expect(readFileSync(file, 'utf8')).toBe('first\nsecond\nquit\n');
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('offers earlier lines of the history', async () => {
    const service = await echoing();
    const { ended, type, shown } = prompt(service, '--history-file', historyFile('older\nnewer\n'));
    type('\u001b[A\u001b[A\r');
    await expect.poll(shown).toContain('you said older');
    type('q\r');
    await ended;
    expect(linesTo(service)).toEqual(['older']);
  });

  test('completes with the candidates of the service', async () => {
    const service = await echoing(({ path }) =>
      path === '/hmp/completions?line=info%20mig' ? ok({ completions: ['migrate'] }) : null,
    );
    const { ended, type, shown } = prompt(service, '--no-history');
    type('info mig\t');
    await expect.poll(shown).toContain('info migrate ');
    type('\r');
    await expect.poll(() => linesTo(service)).toEqual(['info migrate ']);
    type('quit\r');
    await ended;
  });

  test('shows events in colours above the unfinished line', async () => {
    const send = Promise.withResolvers<void>();
    const pieces = async function* () {
      yield ':\n\n';
      await send.promise;
      yield 'id: 7\nevent: MIGRATION\ndata: {"event":"MIGRATION","data":{"status":"active"}}\n\n';
    };
    const headers = { 'content-type': 'text/event-stream' };
    const service = await echoing(({ path }) =>
      path === '/events' ? { status: 200, headers, pieces: pieces() } : null,
    );
    const { ended, type, shown } = prompt(service, '--no-history');
    type('info sta');
    await expect.poll(shown).toContain('info sta');
    send.resolve();
    await expect.poll(shown).toContain('\u001b[33mMIGRATION\u001b[0m  status=active\n(vmferry) info sta');
    type('tus\rquit\r');
    await ended;
    expect(linesTo(service)).toEqual(['info status']);
  });

  test('stops waiting for an answer at Ctrl-C, and continues', async () => {
    const stuck = Promise.withResolvers<void>();
    onTestFinished(() => stuck.resolve());
    const pieces = async function* () {
      yield 'working\n';
      await stuck.promise;
    };
    const service = await echoing(({ body }) => (body === 'slow' ? { status: 200, pieces: pieces() } : null));
    const { ended, type, shown } = prompt(service, '--no-history', '--no-events');
    type('slow\r');
    await expect.poll(shown).toContain('working');
    type('\u0003');
    await expect.poll(shown).toContain('no longer waiting for the answer');
    type('next\rquit\r');
    expect(await ended).toBe(0);
    expect(linesTo(service)).toEqual(['slow', 'next']);
  });

  test('clears a line at Ctrl-C', async () => {
    const service = await echoing();
    const { ended, type, shown } = prompt(service, '--no-history', '--no-events');
    type('wrong');
    await expect.poll(shown).toContain('wrong');
    type('\u0003');
    await expect.poll(shown).toContain('^C');
    type('right\rquit\r');
    await ended;
    expect(linesTo(service)).toEqual(['right']);
  });

  test('prints errors, and continues', async () => {
    const service = await echoing((seen) =>
      seen.body === 'bad' ? problem(400, 'line_not_understood', 'What?') : null,
    );
    const { ended, type, shown } = prompt(service, '--no-history', '--no-events');
    type('bad\rgood\r');
    await expect.poll(shown).toContain('you said good');
    expect(shown()).toContain('vmferry: refused (400 line_not_understood): What?');
    type('quit\r');
    expect(await ended).toBe(0);
  });

  test('ends with 143 at SIGTERM', async () => {
    const { io, ended, shown } = prompt(await echoing(), '--no-history');
    await expect.poll(shown).toContain('(vmferry) ');
    io.signal('SIGTERM');
    expect(await ended).toBe(143);
  });
});

test('the history file is in XDG_STATE_HOME, otherwise below the home directory, otherwise nowhere', () => {
  const { environment } = new FakeIo(undefined);
  expect(historyPath({ ...environment, home: '/h', stateHome: '/s' })).toBe('/s/vmferry/monitor-history');
  expect(historyPath({ ...environment, home: '/h', stateHome: 'relative' })).toBe(
    '/h/.local/state/vmferry/monitor-history',
  );
  expect(historyPath(environment)).toBeNull();
});
