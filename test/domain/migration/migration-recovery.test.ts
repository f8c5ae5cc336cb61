import { describe, expect, it } from 'vitest';
import { openMemoryStore } from '../../helpers/memory-store.ts';
import { fakeDomain } from '../fakes/fake-domain.ts';
import { refusalOf } from '../fakes/refusal.ts';

describe('an unfinished migration of an earlier process', () => {
  it.each(['setup', 'active', 'device', 'cancelling'] as const)('in %s is failed, with the reason', async (status) => {
    const store = openMemoryStore();
    const before = fakeDomain({ store });
    const { id } = before.domain.migration.start({ uri: 'tcp:h:1' });
    if (status !== 'setup') before.outgoing().step('active');
    if (status === 'device') before.outgoing().step('device');
    if (status === 'cancelling') void before.domain.migration.cancel();
    expect(store.migrations.get(id)?.status).toBe(status);
    const { domain } = fakeDomain({ store });
    const { record } = domain.history.get(id);
    expect(record).toMatchObject({
      status: 'failed',
      errorCode: 'service_stopped',
      guest: status === 'device' ? 'unknown' : null,
    });
    expect(record.errorDescription).toContain(`'${status}'`);
    expect(record.endedAt).not.toBeNull();
    expect(domain.migration.query()).toEqual({});
    const { newest } = domain.events.bounds();
    expect(domain.events.since(newest - 1, 10)).toMatchObject([{ name: 'MIGRATION', data: { status: 'failed' } }]);
    expect(store.migrations.unfinished()).toEqual([]);
    store.close();
  });

  it('that had ended is unchanged', async () => {
    const store = openMemoryStore();
    const before = fakeDomain({ store });
    const { id } = before.domain.migration.start({ uri: 'tcp:h:1' });
    before.outgoing().finish('failed', { code: 'peer_closed', message: 'closed' });
    const ended = await before.domain.migration.ended(id, 1000);
    const { domain } = fakeDomain({ store });
    expect(domain.history.get(id).record).toEqual(ended);
    expect(refusalOf(() => domain.history.get('nothing'))).toMatchObject({
      code: 'migration_not_found',
      kind: 'missing',
    });
    expect(refusalOf(() => domain.history.samples('nothing', { limit: 1, cursor: null }))).toMatchObject({
      kind: 'missing',
    });
    store.close();
  });
});
