import { describe, expect, it } from 'vitest';
import { type FakeWorld, fakeDomain } from '../fakes/fake-domain.ts';
import { FakeMachine } from '../fakes/fake-machine.ts';
import { rejectionOf } from '../fakes/refusal.ts';

const URI = 'tcp::0';
const BOUND = { transport: 'tcp', host: '0.0.0.0', port: 4444 } as const;

async function listening(world: FakeWorld, exitOnError?: boolean) {
  const record = world.domain.migration.incoming({
    uri: URI,
    ...(exitOnError !== undefined && { 'exit-on-error': exitOnError }),
  });
  world.incoming().listen(BOUND);
  return record;
}

describe('an incoming migration', () => {
  it('listens, loads, resumes the guest, and is completed after that', async () => {
    const world = fakeDomain({ incoming: true });
    const { domain, machine, events } = world;
    expect(domain.machine.status()).toEqual({ running: false, status: 'inmigrate' });
    expect(machine.isHeldFor('incoming')).toBe(true);
    const record = await listening(world);
    expect(record).toMatchObject({ direction: 'incoming', uri: 'tcp:0.0.0.0:4444', status: 'setup' });
    expect(domain.migration.query()).toEqual({
      status: 'setup',
      'socket-address': [{ type: 'inet', host: '0.0.0.0', port: '4444' }],
    });
    world.incoming().activate();
    world.incoming().load();
    const ended = await domain.migration.ended(record.id, 1000);
    expect(ended).toMatchObject({ status: 'completed', guest: 'here' });
    expect(world.incoming().calls).toEqual(['started']);
    expect(domain.migration.query()).toEqual({ status: 'completed' });
    expect(domain.machine.status()).toEqual({ running: true, status: 'running' });
    expect(machine.runs).toBe(true);
    expect(events()).toEqual(['MIGRATION setup', 'MIGRATION active', 'RESUME', 'MIGRATION completed']);
  });

  it.each([
    ['was paused at the source', { incoming: true }, 'paused'],
    ['was started paused here', { incoming: true, startPaused: true }, 'running'],
  ])('of a guest that %s leaves it paused until cont', async (_, options, globalState) => {
    const world = fakeDomain(options);
    const { id } = await listening(world);
    world.incoming().load(globalState);
    await world.domain.migration.ended(id, 1000);
    expect(world.domain.machine.status()).toEqual({ running: false, status: 'paused' });
    expect([...world.machine.held]).toEqual(['operator']);
    expect(world.events()).not.toContain('RESUME');
    await world.domain.machine.cont();
    expect(world.machine.runs).toBe(true);
  });

  it('applies a stop and a cont that came before the guest, as QEMU does', async () => {
    const world = fakeDomain({ incoming: true });
    await world.domain.machine.stop();
    expect(world.domain.machine.status().status).toBe('inmigrate');
    const { id } = await listening(world);
    world.incoming().load();
    await world.domain.migration.ended(id, 1000);
    expect(world.domain.machine.status().status).toBe('paused');
    const other = fakeDomain({ incoming: true, startPaused: true });
    await other.domain.machine.cont();
    const next = await listening(other);
    other.incoming().load();
    await other.domain.migration.ended(next.id, 1000);
    expect(other.domain.machine.status().status).toBe('running');
  });

  it('of an image keeps it loaded, so that it can be sent and taken back', async () => {
    const world = fakeDomain({ incoming: true, machine: new FakeMachine('image') });
    const { domain, machine } = world;
    const { id } = await listening(world);
    world.incoming().load();
    await domain.migration.ended(id, 1000);
    expect(domain.machine.status()).toEqual({ running: false, status: 'paused' });
    expect(world.events()).not.toContain('RESUME');
    await expect(domain.machine.cont()).rejects.toMatchObject({ code: 'machine_cannot_run', kind: 'conflict' });
    const sent = domain.migration.start({ uri: 'tcp:h:1' });
    world.outgoing().step('active');
    machine.held.add('migration');
    world.outgoing().listener.guestStopped();
    world.outgoing().finish('completed');
    await domain.migration.ended(sent.id, 1000);
    expect(domain.machine.status().status).toBe('postmigrate');
    await domain.machine.cont();
    expect(domain.machine.status().status).toBe('paused');
    expect(machine.isHeldFor('migration')).toBe(false);
  });

  it('that fails has the reason and leaves the machine waiting for another', async () => {
    const world = fakeDomain({ incoming: true });
    const { domain } = world;
    const first = await listening(world);
    world.incoming().activate();
    world.incoming().fail({ code: 'not_a_migration_stream', message: 'the magic is 0x47455420' });
    const ended = await domain.migration.ended(first.id, 1000);
    expect(ended).toMatchObject({ status: 'failed', errorCode: 'not_a_migration_stream', guest: 'there' });
    expect(domain.migration.query()).toEqual({ status: 'failed', 'error-desc': 'the magic is 0x47455420' });
    expect(domain.machine.status().status).toBe('inmigrate');
    expect(world.machine.isHeldFor('incoming')).toBe(true);
    const second = await listening(world);
    world.incoming().load();
    expect(await domain.migration.ended(second.id, 1000)).toMatchObject({ status: 'completed' });
    expect(world.exits.count).toBe(0);
    expect(domain.history.list({ limit: 10, cursor: null }).items.map(({ status }) => status)).toEqual([
      'completed',
      'failed',
    ]);
  });

  it('that fails ends the process only if that was requested', async () => {
    const world = fakeDomain({ incoming: true });
    const { id } = await listening(world, true);
    world.incoming().fail({ code: 'peer_closed', message: 'closed' });
    await world.domain.migration.ended(id, 1000);
    await Promise.resolve();
    expect(world.exits.count).toBe(1);
  });

  it('continues to listen after an unrelated connection, and the next sender gets a new migration', async () => {
    const world = fakeDomain({ incoming: true });
    const first = await listening(world);
    world.incoming().reject({ code: 'peer_speaks_http', message: 'HTTP' });
    expect(await world.domain.migration.ended(first.id, 1000)).toMatchObject({ errorCode: 'peer_speaks_http' });
    expect(world.domain.migration.query()).toEqual({
      status: 'failed',
      'error-desc': 'HTTP',
      'socket-address': [{ type: 'inet', host: '0.0.0.0', port: '4444' }],
    });
    world.domain.settings.setCapabilities([{ capability: 'validate-uuid', state: true }]);
    expect(world.incoming().calls).toEqual([expect.stringContaining('validate-uuid')]);
    world.incoming().activate();
    world.incoming().load();
    const { items } = world.domain.history.list({ limit: 10, cursor: null });
    expect(items).toHaveLength(2);
    expect(await world.domain.migration.ended(items[0]!.id, 1000)).toMatchObject({ status: 'completed' });
    expect(world.engine.incoming).toHaveLength(1);
  });

  it('that an unrelated connection fails ends the process with exit-on-error', async () => {
    const world = fakeDomain({ incoming: true });
    await listening(world, true);
    world.incoming().reject({ code: 'peer_speaks_tls', message: 'TLS' });
    expect(world.exits.count).toBe(1);
    expect(world.incoming().calls).toEqual(['abort']);
  });

  it('that the machine refuses fails with the reason', async () => {
    const world = fakeDomain({ incoming: true });
    world.machine.refusal = new Error('another size of RAM');
    const { id } = await listening(world);
    world.incoming().load();
    const ended = await world.domain.migration.ended(id, 1000);
    expect(ended).toMatchObject({ status: 'failed', errorDescription: 'another size of RAM' });
    expect(world.incoming().calls).toEqual(['refused machine_refused']);
    expect(world.domain.machine.status().status).toBe('inmigrate');
    expect(world.machine.runs).toBe(false);
  });

  it('whose address cannot be bound is refused and not recorded', async () => {
    const world = fakeDomain({ incoming: true });
    const busy = rejectionOf(world.domain.migration.incoming({ uri: URI }));
    world.incoming().cannotListen({ code: 'address_in_use', message: 'the address is in use' });
    expect(await busy).toMatchObject({ code: 'address_in_use', kind: 'conflict', message: 'the address is in use' });
    const foreign = rejectionOf(world.domain.migration.incoming({ uri: URI }));
    world.incoming().cannotListen({ code: 'address_not_local', message: 'not of this host' });
    expect(await foreign).toMatchObject({ code: 'address_not_available', kind: 'invalid' });
    expect(world.domain.migration.query()).toEqual({});
    expect(world.events()).toEqual([]);
    expect(world.domain.history.list({ limit: 10, cursor: null }).items).toEqual([]);
    expect((await listening(world)).status).toBe('setup');
  });

  it('is accepted once at a time, and only by a machine in inmigrate', async () => {
    const world = fakeDomain({ incoming: true });
    const first = world.domain.migration.incoming({ uri: URI });
    expect(await rejectionOf(world.domain.migration.incoming({ uri: URI }))).toMatchObject({
      code: 'migration_in_progress',
    });
    world.incoming().listen(BOUND);
    const { id } = await first;
    const second = await rejectionOf(world.domain.migration.incoming({ uri: URI }));
    expect(second).toMatchObject({ kind: 'conflict', message: expect.stringContaining(id) });
    expect(world.engine.incoming).toHaveLength(1);
    const source = fakeDomain();
    expect(await rejectionOf(source.domain.migration.incoming({ uri: URI }))).toMatchObject({
      code: 'not_expecting_incoming',
      kind: 'conflict',
    });
  });

  it('processes nothing of a stream before its row exists', async () => {
    const world = fakeDomain({ incoming: true });
    const begun = world.domain.migration.incoming({ uri: URI });
    world.incoming().activate();
    expect(world.events()).toEqual([]);
    world.incoming().listen(BOUND);
    await begun;
    expect(world.events()).toEqual(['MIGRATION setup', 'MIGRATION active']);
  });

  it('refuses to switch multifd on while it listens', async () => {
    const world = fakeDomain({ incoming: true });
    await listening(world);
    const set = async () => world.domain.settings.setCapabilities([{ capability: 'multifd', state: true }]);
    expect(await rejectionOf(set())).toMatchObject({ code: 'too_late_to_set', kind: 'conflict' });
    world.domain.settings.setCapabilities([{ capability: 'validate-uuid', state: true }]);
  });

  it('is aborted when the service closes', async () => {
    const world = fakeDomain({ incoming: true });
    const { id } = await listening(world, true);
    await world.domain.close();
    expect(world.incoming().calls).toEqual(['abort']);
    expect(world.domain.history.get(id).record.status).toBe('failed');
    expect(world.exits.count).toBe(0);
  });
});
