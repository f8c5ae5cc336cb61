import { describe, expect, test } from 'vitest';
import { ask, type FakeApp, fakeApp } from '../helpers/app.ts';

/** Makes migrations that fail at once. @returns their ids, newest first. */
async function failMigrations({ server, outgoing }: FakeApp, count: number): Promise<unknown[]> {
  const ids: unknown[] = [];
  for (let made = 0; made < count; made += 1) {
    const started = await ask(server, '/migrate', { body: { uri: `tcp:127.0.0.1:${made + 1}` } });
    outgoing().finish('failed', { code: 'connection_refused', message: 'refused' });
    await expect.poll(async () => (await ask(server, '/migrate')).json.status).toBe('failed');
    ids.unshift(started.json.id);
  }
  return ids;
}

describe('GET /migrations', () => {
  test('has pages that are linked without gaps and repetitions', async () => {
    const app = await fakeApp();
    const ids = await failMigrations(app, 5);
    const found: unknown[] = [];
    let url: string | undefined = '/migrations?limit=2&direction=outgoing';
    let pages = 0;
    while (url !== undefined && pages < 10) {
      const { json, headers } = await ask(app.server, url);
      found.push(...(json.migrations as { id: string }[]).map(({ id }) => id));
      url = /^<([^>]+)>; rel="next"$/.exec(String(headers.link))?.[1];
      pages += 1;
    }
    expect(pages).toBe(3);
    expect(found).toEqual(ids);
  });

  test('can be filtered by status and by direction', async () => {
    const app = await fakeApp();
    await failMigrations(app, 1);
    const count = async (query: string) =>
      ((await ask(app.server, `/migrations?${query}`)).json.migrations as []).length;
    expect(await count('status=failed')).toBe(1);
    expect(await count('status=completed')).toBe(0);
    expect(await count('direction=incoming')).toBe(0);
  });
});

describe('GET /migrations/:id', () => {
  test('has settings, outcome and passes', async () => {
    const app = await fakeApp({ flags: ['--set', 'downtime-limit=123', '--enable', 'return-path'] });
    await ask(app.server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
    app.outgoing().step('active');
    app.outgoing().listener.passEnded({
      pass: 1,
      startedMs: 1,
      durationMs: 2,
      sentBytes: 3,
      normalPages: 4,
      duplicatePages: 5,
      dirtyBytes: 6,
    });
    app.outgoing().step('device');
    app.outgoing().finish('completed');
    await expect.poll(async () => (await ask(app.server, '/migrate')).json.status).toBe('completed');
    const [listed] = (await ask(app.server, '/migrations')).json.migrations as { id: string }[];
    const { json } = await ask(app.server, `/migrations/${listed?.id}`);
    expect(json).toMatchObject({
      ...listed,
      status: 'completed',
      guest: 'there',
      error: null,
      settings: { parameters: { 'downtime-limit': 123 } },
      result: { status: 'completed' },
      passes: [{ pass: 1, 'sent-bytes': 3, 'normal-pages': 4, 'duplicate-pages': 5, 'dirty-bytes': 6 }],
    });
    expect((json.settings as { capabilities: unknown }).capabilities).toEqual(['return-path']);
    expect(Date.parse(String(json['ended-at']))).toBeGreaterThanOrEqual(Date.parse(String(json['started-at'])));
    expect((await ask(app.server, `/migrations/${listed?.id}/samples`)).status).toBe(200);
  });

  test.each(['/migrations/none', '/migrations/none/samples'])('of %s does not exist', async (url) => {
    const { server } = await fakeApp();
    expect((await ask(server, url)).json).toMatchObject({ status: 404, code: 'migration_not_found' });
  });
});
