import { Writable } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createApp } from '../../src/app.ts';
import { COMMANDS } from '../../src/commands/command-table.ts';
import type { Operation } from '../../src/routes/operation.ts';
import { SECURITY_HEADERS } from '../../src/routes/plugins/common-hooks.ts';
import { OPERATIONS } from '../../src/routes/route-table.ts';
import { FakeEngine } from '../domain/fakes/fake-engine.ts';
import { FakeMachine } from '../domain/fakes/fake-machine.ts';
import { ask, type FakeApp, fakeApp, listen, testConfig, tokenFile } from '../helpers/app.ts';
import { combinations } from '../helpers/combinations.ts';
import { ROWS } from '../helpers/doors/rows.ts';
import { MemoryBlocks } from '../helpers/memory-blocks.ts';
import { shared } from '../helpers/shared.ts';

const OPERATOR = 'operator-token-of-this-test';
const VIEWER = 'viewer-token-of-this-test';
const WRONG = 'wrong-token-of-this-test';

function bearer(token: string): { authorization: string } {
  return { authorization: `Bearer ${token}` };
}

async function guarded(limits: Parameters<typeof fakeApp>[0] = {}): Promise<FakeApp> {
  const file = tokenFile([`${OPERATOR} operator`, `${VIEWER} viewer`]);
  return await fakeApp({ flags: ['--token-file', file], ...limits });
}

function urlOf({ path }: Operation): string {
  return path.replace(/:\w+/g, '1');
}

describe('a service with tokens', () => {
  /** For tests that only ask. */
  const asked = shared(() => guarded());
  const guardedOperations = OPERATIONS.filter(({ path }) => !['/healthz', '/readyz'].includes(path));

  test('requires one on every path except /healthz and /readyz, for unknown paths and every method too', async () => {
    const { server } = asked();
    for (const operation of guardedOperations) {
      const reply = await ask(server, urlOf(operation), { method: operation.method });
      expect([reply.status, reply.json.code, operation.id]).toEqual([401, 'not_authenticated', operation.id]);
      expect(reply.headers['www-authenticate']).toBe('Bearer realm="vmferry"');
    }
    for (const path of ['/docs', '/docs/static/index.css', '/nowhere', '/metrics']) {
      expect([(await ask(server, path)).status, path]).toEqual([401, path]);
    }
    expect((await ask(server, '/migrate', { method: 'OPTIONS' })).status).toBe(401);
    expect((await ask(server, '/healthz')).status).toBe(200);
  });

  test('lets a viewer read everything and change nothing, and checks the role before anything else', async () => {
    const { server, domain } = await guarded();
    for (const operation of guardedOperations.filter(({ id }) => id !== 'followEvents')) {
      const { status, json } = await ask(server, urlOf(operation), {
        method: operation.method,
        headers: { ...bearer(VIEWER), 'if-match': '"stale"' },
      });
      const mayNot = operation.command?.role === 'operator';
      expect([operation.id, json.code === 'not_allowed']).toEqual([operation.id, mayNot]);
      expect([operation.id, status === 403]).toEqual([operation.id, mayNot]);
    }
    expect(domain.machine.status().running).toBe(true);
    expect(domain.history.list({ limit: 1, cursor: null }).items).toEqual([]);
  });

  test('requires the role of each command that a monitor line runs', async () => {
    const { server, domain } = await guarded();
    const run = (line: string, token: string) =>
      ask(server, '/hmp', { body: line, headers: { ...bearer(token), 'content-type': 'text/plain' } });
    expect((await run('info status', VIEWER)).text).toContain('running');
    expect((await run('stop', VIEWER)).json.code).toBe('not_allowed');
    for (const [name, { good, refused }] of ROWS) {
      const { line } = typeof good === 'object' && good !== null ? good : { ...refused };
      if (line === undefined) continue;
      const { status, json } = await run(line, VIEWER);
      const mayNot = COMMANDS.get(name)?.role === 'operator' && name !== 'human-monitor-command';
      expect([line, status, json.code]).toEqual([line, ...(mayNot ? [403, 'not_allowed'] : [200, undefined])]);
    }
    expect(domain.machine.status().running).toBe(true);
    await run('stop', OPERATOR);
    expect(domain.machine.status().running).toBe(false);
    const trail = domain.audit.list({ limit: 9, cursor: null }).items;
    const texts = trail.map(({ door, command, outcome }) => `${door} ${command} ${outcome}`);
    expect(texts[0]).toBe('hmp stop succeeded');
    expect(texts.slice(1).filter((text) => !/^hmp \S+ refused$/.test(text))).toEqual([]);
  });

  test('accepts a token until it expires, and then says that it has expired', async () => {
    const file = tokenFile([`${OPERATOR} operator 2001-01-31`, `${VIEWER} viewer 2999-01-31`]);
    const { server } = await guarded({ flags: ['--token-file', file] });
    const reply = await ask(server, '/status', { headers: bearer(OPERATOR) });
    expect([reply.status, reply.json.code, reply.json.detail]).toEqual([
      401,
      'not_authenticated',
      'The token has expired.',
    ]);
    expect(reply.headers['www-authenticate']).toBe('Bearer realm="vmferry", error="invalid_token"');
    expect((await ask(server, '/status', { headers: bearer(VIEWER) })).status).toBe(200);
  });

  test('accepts an operator with any letter case of the scheme', async () => {
    const { server } = await guarded();
    const headers = { authorization: `bEARER  ${OPERATOR}` };
    expect((await ask(server, '/stop', { method: 'POST', headers })).json).toMatchObject({ running: false });
  });

  test.each([
    `Basic ${Buffer.from(`user:${OPERATOR}`).toString('base64')}`,
    OPERATOR,
    'Bearer',
    'Bearer ',
    `Bearer ${OPERATOR} ${OPERATOR}`,
  ])('does not accept %s as a token', async (authorization) => {
    const { server } = asked();
    expect((await ask(server, '/status', { headers: { authorization } })).status).toBe(401);
  });

  test.each([WRONG, OPERATOR.slice(0, -1), `${OPERATOR}x`, OPERATOR.toUpperCase(), 'x'.repeat(10_000)])(
    'refuses an unknown token (%#), and says that it is wrong',
    async (token) => {
      const { server } = asked();
      const reply = await ask(server, '/status', { headers: bearer(token) });
      expect(reply.status).toBe(401);
      expect(reply.headers['www-authenticate']).toBe('Bearer realm="vmferry", error="invalid_token"');
      expect(reply.text).not.toContain(token);
    },
  );

  test('answers under any name of its host, but refuses pages of other sites', async () => {
    const { server } = asked();
    const of = (headers: Record<string, string>) =>
      ask(server, '/status', { headers: { ...bearer(VIEWER), host: 'vm.example', ...headers } });
    expect((await of({})).status).toBe(200);
    expect((await of({ origin: 'https://vm.example' })).status).toBe(200);
    expect((await of({ origin: 'https://other.example' })).json.code).toBe('foreign_origin');
  });

  test('protects the event stream, which a viewer may follow', async () => {
    const { server } = await guarded();
    const url = `http://127.0.0.1:${await listen(server)}/events`;
    const refused = await fetch(url);
    expect(refused.status).toBe(401);
    await refused.body?.cancel();
    const abort = new AbortController();
    onTestFinished(() => abort.abort());
    const stream = await fetch(url, { headers: bearer(VIEWER), signal: abort.signal });
    expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
  });
});

describe('wrong tokens', () => {
  test('are refused with 429 beyond the limit, while valid tokens are accepted', async () => {
    const { server } = await guarded({ limits: { wrongTokensBurst: 3, wrongTokensPerSecond: 0.1 } });
    const statuses: number[] = [];
    for (let request = 0; request < 5; request += 1) {
      const reply = await ask(server, '/status', { headers: bearer(`${WRONG}${request}`) });
      statuses.push(reply.status);
      if (reply.status === 429) expect(Number(reply.headers['retry-after'])).toBeGreaterThan(1);
    }
    expect(statuses).toEqual([401, 401, 401, 429, 429]);
    expect((await ask(server, '/status', { headers: bearer(VIEWER) })).status).toBe(200);
    expect((await ask(server, '/status')).status).toBe(401);
  });

  test.each(combinations<readonly number[]>([10_000], [1000]))(
    '%i at once are refused, and do not delay other clients',
    async (length) => {
      const { server } = await guarded();
      const wrong = Array.from({ length }, (_, index) =>
        server.inject({ url: '/status', headers: bearer(`${WRONG}${index}`) }),
      );
      expect((await ask(server, '/status', { headers: bearer(VIEWER) })).status).toBe(200);
      const statuses = (await Promise.all(wrong)).map(({ statusCode }) => statusCode);
      expect(statuses.filter((status) => status === 401).length).toBeLessThan(40);
      expect(new Set(statuses)).toEqual(new Set([401, 429]));
    },
  );
});

describe('requests that start work', () => {
  test('are refused with 429 beyond the limit of one caller, and accepted from others', async () => {
    const { server } = await fakeApp({ limits: { startsBurst: 2, startsPerSecond: 0.1 } });
    const block = () => ask(server, '/migrate/blockers', { body: { reason: 'A test.' } });
    expect([(await block()).status, (await block()).status]).toEqual([201, 201]);
    const refused = await block();
    expect([refused.status, refused.json.code]).toEqual([429, 'too_many_requests']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(1);
    expect((await ask(server, '/migrate/blockers')).json.blockers).toHaveLength(2);
    expect((await ask(server, '/stop', { method: 'POST' })).status).toBe(200);
  });

  test('are the requests that create something, and count through every door', async () => {
    for (const { id, replies, command } of OPERATIONS)
      expect([id, command?.begins === true]).toEqual([id, (replies[201] ?? replies[202]) !== undefined]);
    const { server, domain } = await fakeApp({ limits: { startsBurst: 3, startsPerSecond: 0.1 } });
    const qmp = (execute: string, given: object) => ask(server, '/qmp', { body: { execute, arguments: given } });
    const hmp = (body: string) => ask(server, '/hmp', { body, headers: { 'content-type': 'text/plain' } });
    expect((await qmp('x-ferry-add-blocker', { reason: 'A test.' })).json).toHaveProperty('return');
    expect((await hmp('calc_dirty_rate 1')).status).toBe(200);
    expect((await ask(server, '/migrate/blockers', { body: { reason: 'A test.' } })).status).toBe(201);
    for (const refused of [
      await qmp('x-ferry-add-blocker', { reason: 'A test.' }),
      await qmp('human-monitor-command', { 'command-line': 'savevm a' }),
      await hmp('savevm a'),
      await ask(server, '/migrate/blockers', { body: { reason: 'A test.' } }),
    ]) {
      expect([refused.status, refused.json.code]).toEqual([429, 'too_many_requests']);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(1);
    }
    expect((await qmp('query-status', {})).json).toHaveProperty('return');
    expect((await hmp('stop')).status).toBe(200);
    expect([domain.blockers.list().length, domain.jobs.list()]).toEqual([2, []]);
  });
});

describe('request ids and logs', () => {
  const asked = shared(() => fakeApp());

  test.each([
    ['abc-1.2:3', true],
    ['with a space', false],
    ['x'.repeat(129), false],
    ['"quoted"', false],
  ])('the id %s is accepted: %s', async (id, isTaken) => {
    const { server } = asked();
    const given = (await ask(server, '/status', { headers: { 'x-request-id': id } })).headers['x-request-id'];
    expect(given === id).toBe(isTaken);
    expect(given).toMatch(/^[\w.:-]+$/);
  });

  test('every answer has a request id and security headers: refusals, invalid paths, documentation', async () => {
    const { server } = asked();
    const { 'content-security-policy': _policy, ...plain } = SECURITY_HEADERS;
    const paths = ['/status', '/nowhere', '/migrations/%', '/docs', '/migrate?x=1', `/migrations/${'x'.repeat(300)}`];
    for (const url of paths) {
      const { headers } = await ask(server, url, { headers: { 'x-request-id': 'mine' } });
      expect([headers['x-request-id'], url]).toEqual(['mine', url]);
      expect(headers, url).toMatchObject(plain);
      // The interactive page loads what lies beside it.
      expect(headers['content-security-policy'], url).toContain("default-src 'none'");
      expect(headers['content-security-policy'], url).toContain("frame-ancestors 'none'");
    }
  });

  test('log lines contain the request and the caller, and no token', async () => {
    const lines: string[] = [];
    const stream = new Writable({
      write: (chunk, _encoding, done) => {
        lines.push(String(chunk));
        done();
      },
    });
    const file = tokenFile([`${OPERATOR} operator`]);
    const config = { ...testConfig(['--token-file', file]), logLevel: 'debug' as const };
    const fakes = { engine: new FakeEngine(), machine: new FakeMachine(), blocks: new MemoryBlocks() };
    const app = await createApp(config, { ...fakes, logStream: stream });
    onTestFinished(() => app.close());
    const id = { 'x-request-id': 'request-7' };
    await ask(app.server, '/stop', { method: 'POST', headers: { ...bearer(OPERATOR), ...id } });
    await ask(app.server, `/status?token=${OPERATOR}`, { headers: { ...bearer(WRONG), cookie: OPERATOR } });
    await ask(app.server, `/status/${OPERATOR}`, { headers: bearer(OPERATOR) });
    const log = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(log).toContainEqual(
      expect.objectContaining({
        reqId: 'request-7',
        method: 'POST',
        route: '/stop',
        status: 200,
        caller: expect.stringMatching(/^token-[0-9a-f]{8}$/),
      }),
    );
    expect(log).toContainEqual(expect.objectContaining({ msg: 'a request had a wrong token', address: '127.0.0.1' }));
    for (const secret of [OPERATOR, WRONG]) expect(lines.join('')).not.toContain(secret);
  });
});
