import { describe, expect, test } from 'vitest';
import { ask, fakeApp } from '../helpers/app.ts';

describe('entity tags of GET /migrate', () => {
  test('an unchanged state is 304 without a body, and a changed state is 200', async () => {
    const { server } = await fakeApp();
    const { headers } = await ask(server, '/migrate');
    const tag = String(headers.etag);
    expect(tag).toMatch(/^W\/"/);
    const again = await ask(server, '/migrate', { headers: { 'if-none-match': `"other", ${tag}` } });
    expect([again.status, again.text, again.headers.etag]).toEqual([304, '', tag]);
    await ask(server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
    const changed = await ask(server, '/migrate', { headers: { 'if-none-match': tag } });
    expect(changed.status).toBe(200);
    expect(changed.headers.etag).not.toBe(tag);
  });

  test('Prefer: wait delays the answer until a change', async () => {
    const { server, outgoing } = await fakeApp();
    await ask(server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
    const tag = String((await ask(server, '/migrate')).headers.etag);
    const pending = ask(server, '/migrate', { headers: { 'if-none-match': tag, prefer: 'wait=30' } });
    await ask(server, '/status');
    outgoing().step('active');
    expect((await pending).json).toMatchObject({ status: 'active' });
  });

  test('Prefer: wait without a change ends with 304', async () => {
    const { server } = await fakeApp();
    const tag = String((await ask(server, '/migrate')).headers.etag);
    const reply = await ask(server, '/migrate', { headers: { 'if-none-match': tag, prefer: 'wait=0' } });
    expect([reply.status, reply.headers['preference-applied']]).toEqual([304, 'wait=0']);
  });

  test('a wait of a year is reduced to the maximum', async () => {
    const { server } = await fakeApp({ limits: { waitSecondsMax: 0 } });
    const tag = String((await ask(server, '/migrate')).headers.etag);
    const reply = await ask(server, '/migrate', { headers: { 'if-none-match': tag, prefer: 'wait=31536000' } });
    expect([reply.status, reply.headers['preference-applied']]).toEqual([304, 'wait=0']);
  });

  test('waiting requests end when the service closes', async () => {
    const app = await fakeApp();
    const tag = String((await ask(app.server, '/migrate')).headers.etag);
    const pending = ask(app.server, '/migrate', { headers: { 'if-none-match': tag, prefer: 'wait=60' } });
    await ask(app.server, '/status');
    await app.close();
    expect((await pending).status).toBe(304);
  });
});

describe.each([
  ['/migrate/parameters', { 'downtime-limit': 500 }, { 'downtime-limit': 700 }],
  [
    '/migrate/capabilities',
    { capabilities: [{ capability: 'events', state: true }] },
    { capabilities: [{ capability: 'return-path', state: true }] },
  ],
] as const)('entity tags of %s', (url, one, other) => {
  test('a tag is strong and changes only with the settings', async () => {
    const { server } = await fakeApp();
    const first = await ask(server, url);
    expect(first.headers.etag).toMatch(/^"/);
    expect((await ask(server, url)).headers.etag).toBe(first.headers.etag);
    expect((await ask(server, url, { headers: { 'if-none-match': String(first.headers.etag) } })).status).toBe(304);
    const changed = await ask(server, url, { method: 'PATCH', body: one });
    expect(changed.headers.etag).not.toBe(first.headers.etag);
    expect((await ask(server, url)).headers.etag).toBe(changed.headers.etag);
  });

  test('of two changes based on the same version one succeeds and the other is refused', async () => {
    const { server, domain } = await fakeApp();
    const kind = url === '/migrate/parameters' ? 'parameters' : 'capabilities';
    const version = domain.settings.version(kind);
    const headers = { 'if-match': String((await ask(server, url)).headers.etag) };
    const replies = await Promise.all([one, other].map((body) => ask(server, url, { method: 'PATCH', body, headers })));
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 412]);
    const refused = replies.find(({ status }) => status === 412);
    expect(refused?.json).toMatchObject({ code: 'settings_changed' });
    const made = replies.find(({ status }) => status === 200);
    expect((await ask(server, url)).text).toBe(made?.text);
    expect(domain.settings.version(kind)).toBe(version + 1);
  });

  test('If-Match with a star always matches, and a weak or foreign tag never does', async () => {
    const { server } = await fakeApp();
    const before = await ask(server, url);
    for (const guard of [`W/${before.headers.etag}`, '"other"', 'nonsense']) {
      const reply = await ask(server, url, { method: 'PATCH', body: one, headers: { 'if-match': guard } });
      expect(reply.status).toBe(412);
    }
    expect((await ask(server, url)).text).toBe(before.text);
    expect((await ask(server, url, { method: 'PATCH', body: one, headers: { 'if-match': '*' } })).status).toBe(200);
  });

  test('a wait ends at a change', async () => {
    const { server } = await fakeApp();
    const tag = String((await ask(server, url)).headers.etag);
    const pending = ask(server, url, { headers: { 'if-none-match': tag, prefer: 'wait=30' } });
    await ask(server, '/status');
    await ask(server, url, { method: 'PATCH', body: one });
    const reply = await pending;
    expect(reply.status).toBe(200);
    expect(reply.headers.etag).not.toBe(tag);
  });
});

describe('PATCH /migrate/parameters', () => {
  test('integers above 2^53 are stored exactly', async () => {
    const { server } = await fakeApp();
    const body = '{"max-bandwidth":18446744073709551615,"max-postcopy-bandwidth":9007199254740993}';
    expect((await ask(server, '/migrate/parameters', { method: 'PATCH', body })).status).toBe(200);
    const { text } = await ask(server, '/migrate/parameters');
    expect(text).toContain('"max-bandwidth":18446744073709551615');
    expect(text).toContain('"max-postcopy-bandwidth":9007199254740993');
  });

  test.each([
    ['{"max-bandwidth":18446744073709551616}', 422],
    ['{"downtime-limit":2000001}', 422],
    ['{"downtime-limit":100,"multifd-channels":0}', 422],
    ['{"downtime-limit":100,"multifd-channels":256}', 422],
    ['{"downtime-limit":-1}', 422],
    ['{"downtime-limit":1.0}', 400],
    ['{"downtime-limit":1e400}', 400],
    ['{"downtime-limit":NaN}', 400],
    ['{"downtime-limit":"1"}', 400],
    ['{"downtime-limit":100,"nonsense":1}', 400],
    ['{"multifd-compression":"lzma"}', 422],
    ['[]', 400],
  ])('%s is refused completely', async (body, status) => {
    const { server } = await fakeApp();
    const before = await ask(server, '/migrate/parameters');
    const reply = await ask(server, '/migrate/parameters', { method: 'PATCH', body });
    expect(reply.status).toBe(status);
    const after = await ask(server, '/migrate/parameters');
    expect([after.text, after.headers.etag]).toEqual([before.text, before.headers.etag]);
  });

  test('every violation is reported with its pointer', async () => {
    const { server } = await fakeApp();
    const body = { 'downtime-limit': 2000001, 'multifd-channels': 0 };
    const { json } = await ask(server, '/migrate/parameters', { method: 'PATCH', body });
    expect(json.errors).toEqual([
      { pointer: '/downtime-limit', reason: expect.stringContaining('2000000') },
      { pointer: '/multifd-channels', reason: expect.any(String) },
    ]);
  });

  test('minus zero is zero', async () => {
    const { server } = await fakeApp();
    const reply = await ask(server, '/migrate/parameters', { method: 'PATCH', body: '{"max-bandwidth":-0}' });
    expect(reply.json).toMatchObject({ 'max-bandwidth': 0 });
  });

  test('an unknown capability is named in the refusal', async () => {
    const { server } = await fakeApp();
    const body = { capabilities: [{ capability: 'teleport', state: true }] };
    const reply = await ask(server, '/migrate/capabilities', { method: 'PATCH', body });
    expect(reply.json).toMatchObject({
      status: 400,
      code: 'unknown_capability',
      detail: expect.stringContaining('teleport'),
    });
  });
});
