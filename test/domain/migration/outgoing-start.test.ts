import { describe, expect, it } from 'vitest';
import { fakeDomain } from '../fakes/fake-domain.ts';
import { FakeMachine } from '../fakes/fake-machine.ts';
import { refusalOf } from '../fakes/refusal.ts';

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
  it('passes through its states in the order of QEMU', async () => {
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

  it('of a guest that was paused before sends no STOP, and leaves it paused after a failure', async () => {
    const { domain, events, machine, outgoing } = fakeDomain({ startPaused: true });
    expect(domain.machine.status()).toEqual({ running: false, status: 'prelaunch' });
    const { id } = domain.migration.start({ uri: URI });
    outgoing().step('active');
    outgoing().listener.guestStopped();
    outgoing().step('device');
    outgoing().listener.guestResumed();
    outgoing().finish('failed', { code: 'peer_closed', message: 'the peer closed the connection' });
    await domain.migration.ended(id, 1000);
    expect(domain.machine.status().status).toBe('prelaunch');
    expect(machine.isHeldFor('operator')).toBe(true);
    expect(events()).toEqual(['MIGRATION setup', 'MIGRATION active', 'MIGRATION device', 'MIGRATION failed']);
  });

  it('that nobody answers fails with the reason, and the guest keeps running', async () => {
    const { domain, events, outgoing, machine } = fakeDomain();
    const { id } = domain.migration.start({ uri: URI });
    outgoing().finish('failed', {
      code: 'connection_refused',
      message: 'tcp:127.0.0.1:4444: the connection was refused',
    });
    const record = await domain.migration.ended(id, 1000);
    expect(record).toMatchObject({ status: 'failed', errorCode: 'connection_refused', guest: 'here' });
    expect(domain.migration.query()).toEqual({
      status: 'failed',
      'error-desc': 'tcp:127.0.0.1:4444: the connection was refused',
    });
    expect(events()).toEqual(['MIGRATION setup', 'MIGRATION failed']);
    expect(machine.runs).toBe(true);
  });

  it('whose engine throws fails, and its vCPUs are released', async () => {
    const { domain, outgoing, machine, events, faults } = fakeDomain();
    const { id } = domain.migration.start({ uri: URI });
    outgoing().step('active');
    machine.held.add('migration');
    outgoing().listener.guestStopped();
    outgoing().break(new Error('out of memory'));
    const record = await domain.migration.ended(id, 1000);
    expect(record).toMatchObject({ status: 'failed', errorCode: 'engine_failed', guest: 'here' });
    expect(record.errorDescription).toContain('out of memory');
    expect(machine.runs).toBe(true);
    expect(events().slice(-2)).toEqual(['MIGRATION failed', 'RESUME']);
    expect(faults).toEqual([]);
  });

  it('whose outcome is unknown keeps the guest stopped until an operator decides', async () => {
    const { domain, outgoing, machine, events } = fakeDomain();
    const { id } = domain.migration.start({ uri: URI });
    outgoing().step('active');
    machine.held.add('migration');
    outgoing().listener.guestStopped();
    outgoing().step('device');
    outgoing().status.handOver();
    outgoing().status.transition('device', 'failed');
    outgoing().end({ status: 'failed', error: { code: 'peer_closed', message: 'Closed.' }, guest: 'unknown' });
    const record = await domain.migration.ended(id, 1000);
    expect(record).toMatchObject({ status: 'failed', guest: 'unknown' });
    expect(record.errorDescription).toMatch(/^Closed\. .*Look at the target.*POST \/cont/);
    expect(domain.machine.status()).toEqual({ running: false, status: 'paused' });
    expect([...machine.held]).toEqual(['operator']);
    expect(events()).not.toContain('RESUME');
    await domain.machine.cont();
    expect(machine.runs).toBe(true);
    expect(events().at(-1)).toBe('RESUME');
  });

  it('leaves the guest paused after a failure if an operator stopped it meanwhile', async () => {
    const { domain, outgoing, machine, events } = fakeDomain();
    const { id } = domain.migration.start({ uri: URI });
    outgoing().step('active');
    outgoing().listener.guestStopped();
    await domain.machine.stop();
    outgoing().listener.guestResumed();
    outgoing().finish('failed');
    await domain.migration.ended(id, 1000);
    expect(domain.machine.status().status).toBe('paused');
    expect(machine.runs).toBe(false);
    expect(events()).not.toContain('RESUME');
  });

  it('that completed lets only cont take the guest back', async () => {
    const { domain, outgoing, machine } = fakeDomain();
    const { id } = domain.migration.start({ uri: URI });
    outgoing().step('active');
    machine.held.add('migration');
    outgoing().listener.guestStopped();
    outgoing().finish('completed');
    await domain.migration.ended(id, 1000);
    expect(refusalOf(() => domain.migration.start({ uri: URI }))).toMatchObject({ code: 'machine_postmigrate' });
    await domain.machine.stop();
    expect(domain.machine.status().status).toBe('postmigrate');
    await domain.machine.cont();
    expect(domain.machine.status()).toEqual({ running: true, status: 'running' });
    expect(machine.runs).toBe(true);
    expect(domain.migration.start({ uri: URI }).status).toBe('setup');
  });

  it('waits in pre-switchover for a continue, which is refused in other states', async () => {
    const { domain, outgoing } = fakeDomain({ capabilities: ['pause-before-switchover'] });
    expect(refusalOf(() => domain.migration.continue('pre-switchover'))).toMatchObject({
      code: 'not_in_expected_state',
    });
    domain.migration.start({ uri: URI });
    outgoing().step('active');
    expect(refusalOf(() => domain.migration.continue('pre-switchover'))).toMatchObject({ kind: 'conflict' });
    outgoing().listener.guestStopped();
    outgoing().step('pre-switchover');
    expect(domain.machine.status().status).toBe('finish-migrate');
    await expect(domain.machine.cont()).rejects.toMatchObject({ code: 'not_finalized' });
    domain.migration.continue('pre-switchover');
    expect(outgoing().continued).toBe(1);
  });

  it('that cannot be started is refused and changes nothing', () => {
    const { domain, engine, events, store } = fakeDomain();
    const codes = [
      refusalOf(() => domain.migration.start({})),
      refusalOf(() => domain.migration.start({ uri: 'bogus:' })),
      refusalOf(() => domain.migration.start({ uri: URI, resume: true })),
    ].map((refusal) => refusal?.code);
    expect(codes).toEqual(['uri_or_channels', 'invalid_address', 'not_postcopy_paused']);
    const image = fakeDomain({ machine: new FakeMachine('image') });
    expect(refusalOf(() => image.domain.migration.start({ uri: URI }))).toMatchObject({ code: 'machine_not_loaded' });
    const target = fakeDomain({ incoming: true });
    expect(refusalOf(() => target.domain.migration.start({ uri: URI }))).toMatchObject({ code: 'machine_inmigrate' });
    expect(engine.outgoing).toEqual([]);
    expect(events()).toEqual([]);
    expect(store.migrations.list({ limit: 10, cursor: null }).items).toEqual([]);
    expect(domain.migration.query()).toEqual({});
  });

  it('is refused while another runs and while a blocker is set', async () => {
    const { domain, outgoing, engine } = fakeDomain();
    const blocker = domain.blockers.add('a disk is being copied');
    expect(domain.migration.query()).toEqual({ 'blocked-reasons': ['a disk is being copied'] });
    const refusal = refusalOf(() => domain.migration.start({ uri: URI }));
    expect(refusal).toMatchObject({ code: 'migration_blocked', kind: 'conflict' });
    expect(refusal?.message).toContain('a disk is being copied');
    domain.blockers.remove(blocker.id);
    expect(refusalOf(() => domain.blockers.remove(blocker.id))).toMatchObject({ code: 'blocker_not_found' });
    expect(refusalOf(() => domain.blockers.add(' '))).toMatchObject({ code: 'value_out_of_range' });
    const { id } = domain.migration.start({ uri: URI });
    expect(refusalOf(() => domain.migration.start({ uri: URI }))).toMatchObject({ code: 'migration_in_progress' });
    expect(engine.outgoing).toHaveLength(1);
    outgoing().finish('failed');
    await domain.migration.ended(id, 1000);
    expect(domain.migration.start({ uri: URI }).status).toBe('setup');
  });

  it('stores its events independent of the capability events, which applies to QMP sockets', async () => {
    const { domain, events, outgoing } = fakeDomain();
    domain.settings.setCapabilities([{ capability: 'events', state: false }]);
    const { id } = domain.migration.start({ uri: URI });
    outgoing().listener.pass(1);
    outgoing().step('active');
    outgoing().listener.guestStopped();
    outgoing().finish('completed');
    await domain.migration.ended(id, 1000);
    expect(events()).toEqual([
      'MIGRATION setup',
      'MIGRATION_PASS 1',
      'MIGRATION active',
      'STOP',
      'MIGRATION completed',
    ]);
  });

  it('stores a sample about every 100 ms, in batches, and wakes waiting readers with its figures', async () => {
    const { domain, outgoing, time, store } = fakeDomain();
    const { id } = domain.migration.start({ uri: URI });
    outgoing().step('active');
    const seen = domain.migration.revision();
    let hasChanged = false;
    const changed = domain.migration.changed(seen, 10_000).then(() => {
      hasChanged = true;
    });
    outgoing().setFigures({ transferredBytes: 4096, bandwidth: 1e6 });
    time.pass(100);
    await changed;
    expect(hasChanged).toBe(true);
    expect(domain.migration.revision()).toBeGreaterThan(seen);
    expect(store.migrations.samples(id, { limit: 100, cursor: null }).items).toEqual([]);
    time.pass(1000);
    const { items } = store.migrations.samples(id, { limit: 100, cursor: null });
    expect(items.map(({ atMs }) => atMs)).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
    expect(items[0]).toMatchObject({ status: 'active', transferredBytes: 4096, bandwidth: 1e6 });
    outgoing().finish('failed');
    await domain.migration.ended(id, 1000);
    expect(store.migrations.samples(id, { limit: 100, cursor: null }).items.length).toBe(12);
    expect(time.pending).toBe(0);
  });

  it('continues if its row cannot be written, and reports the fault', async () => {
    const { domain, outgoing, store, faults, machine } = fakeDomain();
    const { id } = domain.migration.start({ uri: URI });
    const { transition } = store.migrations;
    Object.assign(store.migrations, {
      transition: () => {
        throw new Error('disk full');
      },
    });
    outgoing().step('active');
    Object.assign(store.migrations, { transition });
    expect(domain.migration.query().status).toBe('active');
    expect(faults).toHaveLength(1);
    outgoing().listener.guestStopped();
    outgoing().finish('completed');
    await domain.migration.ended(id, 1000);
    expect(domain.history.get(id).record.status).toBe('completed');
    expect(machine.runs || domain.machine.status().status === 'postmigrate').toBe(true);
  });

  it('is cancelled when the service closes, and no new one is accepted', async () => {
    const { domain, outgoing } = fakeDomain();
    const { id } = domain.migration.start({ uri: URI });
    const closed = domain.close();
    expect(outgoing().status.read()).toBe('cancelling');
    outgoing().letGo();
    await closed;
    expect(domain.history.get(id).record.status).toBe('cancelled');
    expect(refusalOf(() => domain.migration.start({ uri: URI }))).toMatchObject({ code: 'shutting_down' });
  });
});
