import { describe, expect, test } from 'vitest';
import { HmpMonitor } from '../../src/hmp/hmp-monitor.ts';
import { ask, fakeApp } from '../helpers/app.ts';

const REASON = { reason: 'A backup is being made.' };
const TCP = { uri: 'tcp:127.0.0.1:1' };

describe('blockers over HTTP', () => {
  test('appear in the answer about the migration, and in the text monitor', async () => {
    const { server, domain } = await fakeApp();
    await ask(server, '/migrate/blockers', { body: REASON });
    expect((await ask(server, '/migrate')).json).toEqual({ 'blocked-reasons': [REASON.reason] });
    const text = await new HmpMonitor(domain).run('info migrate');
    expect(text).toContain(`Outgoing migration blocked:\n  ${REASON.reason}\n`);
    expect(text).toContain('only-migratable: off\n');
  });

  test('cannot be added during a migration, and can be added afterwards', async () => {
    const { server, outgoing } = await fakeApp();
    await ask(server, '/migrate', { body: TCP });
    outgoing().step('active');
    const late = await ask(server, '/migrate/blockers', { body: REASON });
    expect(late.json).toMatchObject({ status: 409, code: 'migration_in_progress' });
    expect((await ask(server, '/migrate/blockers')).json).toMatchObject({ blockers: [] });
    outgoing().finish('failed', { code: 'peer_closed', message: 'the peer closed the connection' });
    await expect.poll(async () => (await ask(server, '/migrate')).json.status).toBe('failed');
    expect((await ask(server, '/migrate/blockers', { body: REASON })).status).toBe(201);
  });

  test('are refused with --only-migratable, with that reason', async () => {
    const { server, domain } = await fakeApp({ flags: ['--only-migratable'] });
    const refused = await ask(server, '/migrate/blockers', { body: REASON });
    expect(refused.json).toMatchObject({
      status: 409,
      code: 'only_migratable',
      detail: expect.stringContaining(REASON.reason),
    });
    expect((await ask(server, '/migrate/blockers')).json).toEqual({ blockers: [], 'only-migratable': true });
    expect(await new HmpMonitor(domain).run('info migrate')).toContain('only-migratable: on\n');
    expect((await ask(server, '/migrate', { body: TCP })).status).toBe(202);
  });
});
