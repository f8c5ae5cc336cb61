// Some requests were refused below the service. Node answered a request without Host, or with an expectation, by a
// status line only, and used the first of two Host headers. A navigation was accepted with any method, so a form of
// another site could send a POST. A request that was refused before its command was executed left no row in the audit
// trail.

import { describe, expect, test } from 'vitest';
import { ask, exchange, fakeApp, listen, tokenFile } from '../helpers/app.ts';
import { shared } from '../helpers/shared.ts';

const OPERATOR = 'operator-token-of-some-length';
const VIEWER = 'viewer-token-of-some-length';
const END = 'Connection: close\r\n\r\n';

const open = shared(async () => {
  const app = await fakeApp();
  return { app, port: await listen(app.server) };
});

describe('requests that are refused because of their head', () => {
  test.each([
    ['two Host headers', 400, `GET /status HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n${END}`],
    ['two Host headers that differ', 400, `GET /healthz HTTP/1.1\r\nHost: localhost\r\nhOsT: evil.example\r\n${END}`],
    ['two Host headers of HTTP/1.0', 400, `GET /status HTTP/1.0\r\nHost: localhost\r\nHost: localhost\r\n${END}`],
    ['no Host header', 400, `GET /status HTTP/1.1\r\n${END}`],
    ['no Host header, for a path that does not exist', 400, `GET /nowhere HTTP/1.1\r\n${END}`],
    ['no Host header, with a body', 400, `POST /stop HTTP/1.1\r\nContent-Length: 2\r\n${END}{}`],
    ['an expectation', 417, `GET /status HTTP/1.1\r\nHost: localhost\r\nExpect: a-miracle\r\n${END}`],
    [
      'an expectation and a body',
      417,
      `POST /stop HTTP/1.1\r\nHost: localhost\r\nExpect: x\r\nContent-Length: 2\r\n${END}{}`,
    ],
    ['an asterisk as the path', 400, `GET * HTTP/1.1\r\nHost: localhost\r\n${END}`],
    ['an asterisk as the path, with POST', 400, `POST * HTTP/1.1\r\nHost: localhost\r\n${END}`],
    ['a tunnel', 405, `CONNECT localhost:22 HTTP/1.1\r\nHost: localhost:22\r\n${END}`],
    ['a path without a slash', 400, `GET status HTTP/1.1\r\nHost: localhost\r\n${END}`],
    ['a method that HTTP does not have', 400, `FETCH /status HTTP/1.1\r\nHost: localhost\r\n${END}`],
    ['the beginning of HTTP/2', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a version that does not exist', 400, `GET /status HTTP/3.7\r\nHost: localhost\r\n${END}`],
  ])('get a problem document as answer: %s', async (_what, status, text) => {
    const { app, port } = open();
    const answer = await exchange(port, text);
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(answer.toLowerCase()).toContain('content-type: application/problem+json');
    expect(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))).toMatchObject({ status });
    expect(app.machine.held.size).toBe(0);
  });

  test('need no Host with HTTP/1.0, and 100-continue is supported', async () => {
    const { port } = open();
    expect(await exchange(port, 'GET /healthz HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
    const body = `POST /qmp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 24\r\n${END}`;
    const answer = await exchange(port, `${body}{"execute":"query-name"}`);
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
  });
});

describe('requests that a page of another site makes a browser send', () => {
  const from = (site: string, mode: string) => ({ 'sec-fetch-site': site, 'sec-fetch-mode': mode });

  test.each(['cross-site', 'same-site'])(
    'are refused if a form navigates here, although it has no Origin: %s',
    async (site) => {
      const { server, machine } = open().app;
      const reply = await ask(server, '/stop', { method: 'POST', headers: from(site, 'navigate') });
      expect([reply.status, reply.json.code]).toEqual([403, 'foreign_origin']);
      for (const method of ['PATCH', 'PUT', 'DELETE'] as const) {
        const other = await ask(server, '/migrate/parameters', { method, headers: from(site, 'navigate') });
        expect([method, other.status]).toEqual([method, 403]);
      }
      expect(machine.held.size).toBe(0);
    },
  );

  test('are accepted if they come from a link or the address bar', async () => {
    const { server } = open().app;
    for (const site of ['cross-site', 'same-site', 'none', 'same-origin']) {
      expect((await ask(server, '/docs', { headers: from(site, 'navigate') })).status, site).toBe(200);
    }
    expect((await ask(server, '/status', { headers: from('cross-site', 'no-cors') })).status).toBe(403);
  });
});

describe('a request that is refused before its command is executed', () => {
  const guarded = shared(async () => {
    const app = await fakeApp({ flags: ['--token-file', tokenFile([`${OPERATOR} operator`, `${VIEWER} viewer`])] });
    return { app, port: await listen(app.server) };
  });
  const newest = () => guarded().app.domain.audit.list({ limit: 1, cursor: null }).items[0];
  const send = (token: string, method: 'PATCH' | 'POST', path: string, rest: Parameters<typeof ask>[2] = {}) =>
    ask(guarded().app.server, path, {
      ...rest,
      method,
      headers: { authorization: `Bearer ${token}`, ...rest.headers },
    });

  test.each([
    ['a false condition', 412, 'settings_changed', { body: { 'downtime-limit': 1 }, headers: { 'if-match': '"no"' } }],
    ['a body that is no JSON', 400, 'malformed_json', { body: '{"downtime-limit":' }],
    ['a body of another type', 415, 'unsupported_media_type', { body: 'x', headers: { 'content-type': 'text/xml' } }],
    ['a body that is too large', 413, 'body_too_large', { body: ' '.repeat(2 ** 20 + 1) }],
    ['no body', 400, 'body_missing', {}],
  ] as const)('is recorded once in the audit trail: %s', async (_what, status, code, rest) => {
    const before = newest()?.id ?? 0;
    const reply = await send(OPERATOR, 'PATCH', '/migrate/parameters', rest);
    expect([reply.status, reply.json.code]).toEqual([status, code]);
    const row = { id: before + 1, command: 'migrate-set-parameters', outcome: 'failed', errorCode: code };
    expect(newest()).toMatchObject(row);
    expect(newest()?.name).toMatch(/^token-/);
  });

  test('is recorded as often as one that the command refuses or executes: once', async () => {
    const before = newest()?.id ?? 0;
    await send(OPERATOR, 'PATCH', '/migrate/parameters', { body: { 'downtime-limit': -1 } });
    await send(OPERATOR, 'POST', '/stop');
    await send(VIEWER, 'POST', '/stop');
    expect(newest()).toMatchObject({ id: before + 3, outcome: 'refused', errorCode: 'not_allowed' });
  });

  test('is recorded as a refusal if it is from a viewer, and not at all without a token', async () => {
    await send(VIEWER, 'PATCH', '/migrate/parameters', { body: '{' });
    expect(newest()).toMatchObject({ outcome: 'refused', errorCode: 'malformed_json' });
    const before = newest()?.id;
    const unknown = await send('nonsense', 'PATCH', '/migrate/parameters', { body: '{' });
    expect([unknown.status, newest()?.id]).toEqual([401, before]);
  });
});
