// A dashboard on another host could not use the API. Every request with a foreign Origin was refused, the preflight
// required a token that browsers do not send with it, and no answer let a page read ETag or Location.

import { get } from 'node:http';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/config.ts';
import { ask, type FakeApp, fakeApp, listen, testConfig, tokenFile } from '../helpers/app.ts';

const PAGE = 'https://dashboard.example';
const TOKEN = 'jZ1yT0m2Qm7e3Wl4o3rQv6lYc0h8x5b2kq9nUuP1aXw=';
const AUTHORIZATION = { authorization: `Bearer ${TOKEN}` };
const ALLOWED = ['--allow-origin', PAGE];

/** The headers that a browser sends for a script of a page. */
const fromPage = (origin: string) => ({ origin, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' });

const guarded = (flags: readonly string[] = ALLOWED): Promise<FakeApp> =>
  fakeApp({ flags: [...flags, '--token-file', tokenFile([`${TOKEN} operator`])] });

function preflight({ server }: FakeApp, origin: string, method = 'PATCH') {
  const headers = { ...fromPage(origin), 'access-control-request-method': method };
  return ask(server, '/migrate/parameters', { method: 'OPTIONS', headers });
}

describe('a page of an allowed origin', () => {
  test('gets an answer to its preflight without a token, with every method and request header of the API', async () => {
    const { status, headers, text } = await preflight(await guarded(), PAGE);
    expect([status, text, headers['access-control-allow-origin'], headers.vary]).toEqual([204, '', PAGE, 'Origin']);
    for (const name of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
      expect(headers['access-control-allow-methods']).toContain(name);
    for (const name of ['Authorization', 'Content-Type', 'If-Match', 'If-None-Match', 'Prefer', 'Idempotency-Key'])
      expect(headers['access-control-allow-headers']).toContain(name);
    expect(headers['access-control-allow-credentials']).toBeUndefined();
  });

  test('can read answers, including refusals, and the headers of the API', async () => {
    const app = await guarded();
    const asPage = { ...fromPage(PAGE), ...AUTHORIZATION };
    const replies = [
      await ask(app.server, '/migrate', { headers: asPage }),
      await ask(app.server, '/migrate', { headers: asPage, body: { uri: 'tcp:127.0.0.1:1' } }),
      await ask(app.server, '/migrate', { headers: asPage, body: { uri: 7 } }),
      await ask(app.server, '/nothing', { headers: asPage }),
      await ask(app.server, '/migrate', { headers: fromPage(PAGE) }),
    ];
    expect(replies.map(({ status }) => status)).toEqual([200, 202, 400, 404, 401]);
    for (const { headers } of replies) {
      expect(headers['access-control-allow-origin']).toBe(PAGE);
      for (const name of [
        'ETag',
        'Location',
        'Link',
        'Preference-Applied',
        'Retry-After',
        'X-Request-Id',
        'Idempotency',
      ])
        expect(headers['access-control-expose-headers']).toContain(name);
    }
  });

  test('can follow the events', async () => {
    const app = await fakeApp({ flags: ALLOWED });
    const port = await listen(app.server);
    const allowed = await new Promise((resolve, reject) => {
      const asked = get(
        { port, host: '127.0.0.1', path: '/events', headers: fromPage(PAGE), agent: false },
        (reply) => {
          resolve([reply.statusCode, reply.headers['access-control-allow-origin']]);
          asked.destroy();
        },
      );
      asked.on('error', reject);
    });
    expect(allowed).toEqual([200, PAGE]);
  });

  test('can use a service without tokens under the name localhost, and under no other name', async () => {
    const { server } = await fakeApp({ flags: ALLOWED });
    const as = (host: string) => ask(server, '/status', { headers: { ...fromPage(PAGE), host } });
    expect((await as('localhost:8080')).status).toBe(200);
    expect((await as('rebound.example')).json.code).toBe('foreign_origin');
  });
});

describe('any other origin', () => {
  test.each(['https://other.example', `${PAGE}:8443`, 'http://dashboard.example', `${PAGE}.evil.example`, 'null', '*'])(
    '%s is refused without details of the API',
    async (origin) => {
      const app = await guarded();
      const replies = [
        await preflight(app, origin),
        await ask(app.server, '/status', { headers: { ...fromPage(origin), ...AUTHORIZATION } }),
      ];
      for (const { status, json, headers } of replies) {
        expect([status, json.code, headers.vary]).toEqual([403, 'foreign_origin', 'Origin']);
        expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
      }
    },
  );

  test('is allowed with *, which still requires a token', async () => {
    const app = await guarded(['--allow-origin', '*']);
    expect((await preflight(app, 'https://any.example')).status).toBe(204);
    expect((await ask(app.server, '/status', { headers: fromPage('https://any.example') })).status).toBe(401);
  });

  test('gets no CORS headers from a service without the flag', async () => {
    const { headers } = await ask((await fakeApp()).server, '/status');
    expect(Object.keys(headers).filter((name) => /^access-control|^vary$/.test(name))).toEqual([]);
  });
});

describe('--allow-origin', () => {
  test('accepts what a browser sends, and normalises it as browsers do', () => {
    const flags = ['HTTPS://Dashboard.Example:443', PAGE, 'http://[::1]:3000', 'http://localhost:5173'];
    const { allowedOrigins } = testConfig(flags.flatMap((origin) => ['--allow-origin', origin]));
    expect(allowedOrigins).toEqual([PAGE, 'http://[::1]:3000', 'http://localhost:5173']);
  });

  test.each([
    ...['', 'dashboard.example', `${PAGE}/`, `${PAGE}/app`, `${PAGE}?a`, `${PAGE}#a`, 'https://user@dashboard.example'],
    ...['https://*.example', 'null', 'file:///home', 'ftp://dashboard.example', 'https://', `${PAGE} ${PAGE}`],
  ])('refuses %j with the allowed forms', (origin) => {
    const start = () => testConfig(['--allow-origin', origin]);
    expect(start).toThrow(ConfigError);
    expect(start).toThrow(/^--allow-origin must be .* such as https:\/\/dashboard\.example/);
  });

  test('refuses * without tokens', () => {
    expect(() => testConfig(['--allow-origin', '*'])).toThrow('it needs --token-file');
  });
});
