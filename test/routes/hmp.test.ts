import { describe, expect, test } from 'vitest';
import { ask, type FakeApp, fakeApp, listen, type Reply } from '../helpers/app.ts';

const TEXT = { 'content-type': 'text/plain' };

function say({ server }: FakeApp, body: string | Buffer, headers: Readonly<Record<string, string>> = TEXT) {
  return ask(server, '/hmp', { body, headers });
}

function shown({ status, text }: Reply): readonly [number, string] {
  return [status, text];
}

describe('POST /hmp', () => {
  test('accepts a line of text and answers with text', async () => {
    const app = await fakeApp();
    const reply = await say(app, 'info status\n');
    expect(shown(reply)).toEqual([200, 'VM status: running\n']);
    expect(reply.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(shown(await say(app, 'stop'))).toEqual([200, '']);
    expect(shown(await say(app, 'info status', { 'content-type': 'text/plain; charset=UTF-8' }))).toEqual([
      200,
      'VM status: paused\n',
    ]);
    expect(shown(await say(app, ' \n'))).toEqual([200, '']);
  });

  test('answers a refused command with 200 and an error line', async () => {
    const app = await fakeApp();
    const reply = await say(app, 'migrate_continue pre-switchover');
    expect(reply.status).toBe(200);
    expect(reply.text).toMatch(/^Error: .*\n$/);
  });

  test('refuses a line that is no valid command with the reason', async () => {
    const app = await fakeApp();
    for (const [line, detail] of [
      ['no such command', "unknown command: 'no'"],
      ['migrate "tcp:127.0.0.1:1', 'migrate: The line ends within a string'],
      ['stop; cont', "unknown command: 'stop;'"],
      ['stop\ncont', "stop: The command has no argument for 'cont'"],
      ['stop `cont`', 'stop: The command has no argument'],
      ['$(stop)', "unknown command: '$(stop)'"],
      ['\u0000stop', "unknown command: '\\x00stop'"],
      ['\u001b[2Jstop', "unknown command: '\\x1b[2Jstop'"],
    ] as const) {
      const { status, json } = await say(app, line);
      expect([status, json.code]).toEqual([400, 'line_not_understood']);
      expect(String(json.detail).startsWith(detail), String(json.detail)).toBe(true);
    }
    expect(app.domain.machine.status()).toEqual({ running: true, status: 'running' });
  });

  test('refuses a long line before it is read completely', async () => {
    const app = await fakeApp();
    const long = `migrate_set_parameter tls-hostname ${'x'.repeat(2 ** 20 - 64)}`;
    const { status, json } = await say(app, long);
    expect([status, json.code]).toEqual([400, 'line_not_understood']);
    expect(String(json.detail)).toMatch(/^The line has \d+ characters; 65536 are allowed$/);
    expect((await say(app, 'x'.repeat(2 ** 20 + 1))).json).toMatchObject({ status: 413, code: 'body_too_large' });
  });

  test('refuses another content type, a missing body and invalid UTF-8', async () => {
    const app = await fakeApp();
    const asJson = await say(app, '"stop"', { 'content-type': 'application/json' });
    expect(asJson.json).toMatchObject({ status: 415, code: 'unsupported_media_type' });
    expect(String(asJson.json.detail)).toContain('text/plain');
    const latin = await say(app, 'stop', { 'content-type': 'text/plain; charset=latin1' });
    expect(latin.json).toMatchObject({ status: 415, code: 'unsupported_media_type' });
    expect((await say(app, '')).json).toMatchObject({ status: 400, code: 'body_missing' });
    const broken = await say(app, Buffer.from([0x73, 0xff]));
    expect(broken.json).toMatchObject({ status: 400, code: 'malformed_request' });
    expect(app.domain.machine.status().running).toBe(true);
  });

  test('sends progress while it waits for a migration, and then the result', async () => {
    const app = await fakeApp();
    const port = await listen(app.server);
    const answer = await fetch(`http://127.0.0.1:${port}/hmp`, {
      method: 'POST',
      headers: TEXT,
      body: 'migrate tcp:127.0.0.1:1',
    });
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    const told = await reader.read();
    expect(told.value).toMatch(/^Migration status: setup, .*\n$/);
    app.outgoing().finish('failed', { code: 'connection_refused', message: 'Nobody listens.' });
    let rest = '';
    for (let part = await reader.read(); !part.done; part = await reader.read()) rest += part.value;
    expect(rest).toMatch(/^(Migration status: .*\n)*Error: Nobody listens\.\n$/);
  });

  test('stops waiting when the client disconnects, and the migration continues', async () => {
    const app = await fakeApp();
    const port = await listen(app.server);
    const gone = new AbortController();
    const { signal } = gone;
    const url = `http://127.0.0.1:${port}/hmp`;
    const answer = await fetch(url, { method: 'POST', headers: TEXT, body: 'migrate tcp:127.0.0.1:1', signal });
    const whole = answer.text();
    gone.abort();
    await expect(whole).rejects.toThrow();
    app.outgoing().step('active');
    expect((await ask(app.server, '/migrate')).json).toMatchObject({ status: 'active' });
    await app.server.close();
  });

  test('is the only operation that accepts text', async () => {
    const app = await fakeApp();
    const reply = await ask(app.server, '/migrate', { body: 'x', headers: TEXT });
    expect(reply.json).toMatchObject({ status: 415, code: 'unsupported_media_type' });
  });

  test('names the right method to a request with another', async () => {
    const app = await fakeApp();
    const reply = await ask(app.server, '/hmp');
    expect([reply.status, reply.headers.allow]).toEqual([405, 'OPTIONS, POST']);
  });
});

describe('GET /hmp/completions', () => {
  test('returns the possible completions of the last word', async () => {
    const app = await fakeApp();
    const reply = await ask(app.server, '/hmp/completions?line=migrate_set_cap');
    expect(reply.json).toEqual({ completions: ['migrate_set_capability'] });
  });

  test('refuses an invalid query', async () => {
    const app = await fakeApp();
    for (const [query, code] of [
      ['', 'missing_member'],
      ['?line=a&word=1', 'unknown_member'],
      ['?line=a&line=b', 'wrong_type'],
    ])
      expect((await ask(app.server, `/hmp/completions${query}`)).json, query).toMatchObject({ status: 400, code });
  });
});
