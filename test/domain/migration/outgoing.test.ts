import { describe, expect, it } from 'vitest';
import { fakeDomain } from '../fakes/fake-domain.ts';

const URI = 'tcp:127.0.0.1:4444';
const PASS = {
  pass: 1,
  startedMs: 0,
  durationMs: 10,
  sentBytes: 8192,
  normalPages: 2,
  duplicatePages: 3,
  dirtyBytes: 4096,
};

describe('an outgoing migration', () => {
  it('passes through its states in the order that QEMU tells', async () => {
    const { domain, events, machine, outgoing, store } = fakeDomain();
    const record = domain.migration.start({ uri: URI });
    expect(record).toMatchObject({ direction: 'outgoing', uri: URI, status: 'setup', endedAt: null });
    const transfer = outgoing();
    transfer.setFigures({ totalBytes: 4096 * 5, remainingBytes: 4096 * 5, dirtySyncCount: 1 });
    transfer.listener.pass(1);
    transfer.step('active');
    transfer.listener.passEnded(PASS);
    machine.held.add('migration');
    transfer.listener.guestStopped();
    expect(domain.machine.status()).toEqual({ running: false, status: 'finish-migrate' });
    transfer.step('device');
    transfer.listener.pass(2);
    transfer.setFigures({ downtimeMs: 12, totalTimeMs: 40, setupTimeMs: 2, remainingBytes: 7, dirtyPagesRate: 3 });
    transfer.finish('completed');
    const ended = await domain.migration.ended(record.id, 1000);
    expect(events()).toEqual([
      'MIGRATION setup',
      'MIGRATION_PASS 1',
      'MIGRATION active',
      'STOP',
      'MIGRATION device',
      'MIGRATION_PASS 2',
      'MIGRATION completed',
    ]);
    expect(ended).toMatchObject({ status: 'completed', guest: 'there', errorCode: null });
    expect(domain.migration.query()).toMatchObject({
      status: 'completed',
      downtime: 12,
      'total-time': 40,
      'setup-time': 2,
      ram: { remaining: 0, 'dirty-pages-rate': 0, total: 4096 * 5 },
    });
    expect(domain.migration.query()).not.toHaveProperty('expected-downtime');
    expect(JSON.parse(ended.resultJson ?? '')).toEqual(domain.migration.query());
    expect(domain.machine.status()).toEqual({ running: false, status: 'postmigrate' });
    expect(machine.runs).toBe(false);
    expect(store.migrations.passes(record.id)).toEqual([PASS]);
    expect(domain.history.samples(record.id, { limit: 10, cursor: null }).items).toHaveLength(1);
  });
});
