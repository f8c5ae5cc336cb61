import { describe, expect, test } from 'vitest';
import { OPERATIONS } from '../../src/routes/route-table.ts';
import { ask, type FakeApp, fakeApp } from '../helpers/app.ts';
import { shared } from '../helpers/shared.ts';

const PARAMETERS = '/migrate/parameters';
/** A shared app; refused requests do not change it. */
const common = shared(() => fakeApp());

async function patch(app: FakeApp, body: unknown, headers: Record<string, string> = {}) {
  return await ask(app.server, PARAMETERS, { method: 'PATCH', body, headers });
}

describe('a body', () => {
  test.each([
    ['a syntax error', '{"downtime-limit":}', {}, 400, 'malformed_json'],
    ['an empty body', '', {}, 400, 'body_missing'],
    ['deep nesting', '['.repeat(100_000), {}, 400, 'malformed_json'],
    ['a prototype member', '{"__proto__":{"a":1}}', {}, 400, 'malformed_json'],
    ['a constructor member', '{"constructor":{"prototype":{}}}', {}, 400, 'malformed_json'],
    [
      'another media type',
      'a=b',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'unsupported_media_type',
    ],
    ['plain text', '{}', { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
    ['a media type like JSON', '{}', { 'content-type': 'application/jsonp' }, 415, 'unsupported_media_type'],
    [
      'another character set',
      '{}',
      { 'content-type': 'application/json; charset=utf-16' },
      415,
      'unsupported_media_type',
    ],
    ['a compressed body', '{}', { 'content-encoding': 'gzip' }, 415, 'unsupported_media_type'],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22]), {}, 400, 'malformed_json'],
    ['too large a body', `"${'x'.repeat(2 ** 20)}"`, {}, 413, 'body_too_large'],
  ])('with %s is refused and changes nothing', async (_what, body, headers, status, code) => {
    const app = common();
    const before = await ask(app.server, PARAMETERS);
    const reply = await patch(app, body, headers);
    expect([reply.status, reply.json.code]).toEqual([status, code]);
    expect(reply.headers['content-type']).toBe('application/problem+json');
    expect((await ask(app.server, PARAMETERS)).text).toBe(before.text);
  });

  test('with a syntax error is refused with the place of the error', async () => {
    const reply = await patch(common(), '{\n "downtime-limit": 1,\n}');
    expect(reply.json.detail).toContain('line 3, column 1');
  });

  test('may be missing or an empty object if the operation has no arguments', async () => {
    const { server } = await fakeApp();
    expect((await ask(server, '/stop', { method: 'POST' })).json).toEqual({ running: false, status: 'paused' });
    expect((await ask(server, '/cont', { body: {} })).json).toEqual({ running: true, status: 'running' });
    expect((await ask(server, '/cont', { body: '' })).status).toBe(200);
    expect((await ask(server, '/stop', { body: { now: true } })).json).toMatchObject({ code: 'unknown_member' });
  });

  test('may have the charset UTF-8 in its content type', async () => {
    const reply = await patch(common(), '{"downtime-limit":1}', {
      'content-type': 'application/json; charset=UTF-8',
    });
    expect(reply.status).toBe(200);
  });
});

describe('paths and methods', () => {
  test.each([
    '/nope',
    '//migrate',
    '/migrate/',
    '/MIGRATE',
    '/../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/migrations/..%2f..%2fetc',
    '/errors/%2e%2e%2fapi',
    '/errors/unknown',
    '/migrations/%00',
    '/docs/../../package.json',
    '/docs/static/..%2f..%2fpackage.json',
    `/migrations/${'x'.repeat(300)}`,
  ])('%s does not exist', async (path) => {
    const { server } = common();
    const reply = await ask(server, path);
    expect([400, 404, 414]).toContain(reply.status);
    expect(reply.headers['content-type']).toBe('application/problem+json');
  });

  test.each(['/migrations/%', '/migrations/%ff', '/migrations/%c0%af'])('%s is malformed', async (path) => {
    const { server } = common();
    const reply = await ask(server, path);
    expect([400, 404]).toContain(reply.status);
    expect(reply.headers['content-type']).toBe('application/problem+json');
  });

  const paths = [...new Set(OPERATIONS.map(({ path }) => path))];

  test.each(paths)('%s gets the allowed methods', async (path) => {
    const { server } = common();
    const url = path.replace(':id', '1').replace(':code', 'wrong_type');
    const methods = OPERATIONS.filter((operation) => operation.path === path).map(({ method }) => method);
    const allow = [...new Set([...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'])].sort().join(', ');
    const options = await ask(server, url, { method: 'OPTIONS' });
    expect([options.status, options.headers.allow, options.text]).toEqual([204, allow, '']);
    const unused = (['PUT', 'PATCH'] as const).find((method) => !methods.includes(method));
    const wrong = await ask(server, url, { method: unused ?? 'POST' });
    expect([wrong.status, wrong.headers.allow, wrong.json.code]).toEqual([405, allow, 'method_not_allowed']);
  });

  test.each(OPERATIONS.filter(({ method, id }) => method === 'GET' && id !== 'followEvents').map(({ path }) => path))(
    'HEAD of %s is answered as GET without the body',
    async (path) => {
      const { server } = common();
      const url = path.replace(':id', '1').replace(':code', 'wrong_type');
      const [get, head] = [await ask(server, url), await ask(server, url, { method: 'HEAD' })];
      expect([head.status, head.headers['content-type'], head.text]).toEqual([
        get.status,
        get.headers['content-type'],
        '',
      ]);
    },
  );

  test('HEAD of the events opens no stream', async () => {
    const { server } = common();
    const head = await ask(server, '/events', { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([200, '']);
  });
});

describe('query parameters', () => {
  test.each([
    ['/migrations?limit=0', 422],
    ['/migrations?limit=1001', 422],
    ['/migrations?limit=ten', 400],
    ['/migrations?limit=1&limit=2', 400],
    ['/migrations?status=gone', 422],
    ['/migrations?cursor=', 422],
    ['/migrations?cursor=forged', 400],
    ['/migrations?page=2', 400],
    ['/migrate?verbose=1', 400],
    ['/migrate?__proto__=1', 400],
    ['/events?since=-1', 400],
    ['/events?from=1', 400],
  ])('%s is refused', async (url, status) => {
    const { server } = common();
    expect((await ask(server, url)).status).toBe(status);
  });
});

describe('foreign pages', () => {
  test.each([
    { host: 'attacker.example' },
    { host: '127.0.0.1.attacker.example' },
    { origin: 'http://attacker.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
  ])('a request with %j is refused', async (headers) => {
    const { server } = common();
    const reply = await ask(server, '/stop', { method: 'POST', headers });
    expect(reply.json).toMatchObject({ status: 403, code: 'foreign_origin' });
    expect((await ask(server, '/status')).json.running).toBe(true);
  });

  test.each(['localhost', 'localhost:80', '127.0.0.1:8080', '[::1]:80'])(
    'a request with Host %s is answered',
    async (host) => {
      const { server } = common();
      const headers = { host, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' };
      expect((await ask(server, '/status', { headers })).status).toBe(200);
    },
  );
});
