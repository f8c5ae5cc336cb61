import { describe, expect, it } from 'vitest';
import type { MigrationFigures } from '../../../src/domain/settings/declared-settings.ts';
import { fakeDomain } from '../fakes/fake-domain.ts';

const MIB = 2 ** 20;
const TOTAL = 512 * MIB;

function started(capabilities: readonly string[] = []) {
  const world = fakeDomain({ capabilities });
  world.domain.migration.start({ uri: 'tcp:h:1' });
  const transfer = world.outgoing();
  const show = (figures: Partial<MigrationFigures>) => {
    transfer.setFigures({ totalBytes: TOTAL, ...figures });
    return world.domain.migration.progress();
  };
  const sync = (dirtyBytes: number) => {
    transfer.listener.passEnded({
      pass: 1,
      startedMs: 0,
      durationMs: 1,
      sentBytes: 0,
      normalPages: 0,
      duplicatePages: 0,
      dirtyBytes,
    });
  };
  return { ...world, transfer, show, sync };
}

describe('progress', () => {
  it('reports that nothing runs before the first migration', () => {
    const { domain } = fakeDomain();
    expect(domain.migration.progress()).toMatchObject({
      status: 'none',
      'first-pass-percent': 0,
      verdict: null,
      'time-to-go': null,
      'time-to-go-unknown': 'No migration runs.',
      'downtime-limit': 300,
    });
  });

  it('has a percentage of the first pass that never decreases', async () => {
    const { show, transfer, domain } = started();
    expect(show({})['first-pass-percent']).toBe(0);
    transfer.step('active');
    expect(show({ dirtySyncCount: 1, remainingBytes: TOTAL })['first-pass-percent']).toBe(0);
    expect(show({ remainingBytes: TOTAL / 4 })['first-pass-percent']).toBe(75);
    expect(show({ remainingBytes: TOTAL / 2 })['first-pass-percent']).toBe(75);
    expect(show({ dirtySyncCount: 2, remainingBytes: TOTAL })['first-pass-percent']).toBe(100);
    transfer.finish('failed');
    await domain.migration.ended('id-1', 1000);
    expect(domain.migration.progress()).toMatchObject({ status: 'failed', 'first-pass-percent': 100, verdict: null });
  });

  it('is converging during the first pass, with an estimate of the end', () => {
    const { show, transfer } = started();
    transfer.step('active');
    const progress = show({ dirtySyncCount: 1, remainingBytes: 100e6, bandwidth: 100e6, dirtyPagesRate: 0 });
    expect(progress.verdict?.verdict).toBe('converging');
    expect(progress['time-to-go']).toEqual({ min: 1000, max: 1300 });
    expect(progress['time-to-go-unknown']).toBeNull();
  });

  it('is converging while the dirty memory shrinks', () => {
    const { show, transfer, sync } = started();
    transfer.step('active');
    for (const mib of [400, 200, 100]) sync(mib * MIB);
    const figures = { dirtySyncCount: 4, remainingBytes: 100 * MIB, bandwidth: 1e8, dirtyPagesRate: 5000 };
    const { verdict } = show({ ...figures, expectedDowntimeMs: 1000 });
    expect(verdict).toMatchObject({ verdict: 'converging' });
    expect(verdict?.reason).toContain('400.0 MiB to 100.0 MiB');
  });

  it('is converging if a switchover would fit into the limit', () => {
    const { show, transfer, sync } = started();
    transfer.step('active');
    for (let pass = 0; pass < 4; pass += 1) sync(MIB);
    const { verdict } = show({ dirtySyncCount: 5, bandwidth: 1e8, dirtyPagesRate: 1e6, expectedDowntimeMs: 299 });
    expect(verdict).toEqual({
      verdict: 'converging',
      reason: 'A switchover now would take 299 ms of the 300 ms allowed.',
    });
  });

  it('is stalled if the dirty memory does not shrink although the guest is slower than the link', () => {
    const { show, transfer, sync } = started();
    transfer.step('active');
    for (let pass = 0; pass < 3; pass += 1) sync(128 * MIB);
    const figures = { dirtySyncCount: 4, remainingBytes: 128 * MIB, bandwidth: 1e8, dirtyPagesRate: 12_207 };
    const progress = show({ ...figures, expectedDowntimeMs: 1342 });
    expect(progress.verdict?.verdict).toBe('stalled');
    expect(progress.verdict?.reason).toMatch(/128\.0 MiB .*50\.0 MB\/s .*100\.0 MB\/s .*1342 ms of the 300 ms/);
    expect(progress['time-to-go']).toBeNull();
    expect(progress['time-to-go-unknown']).toBe(progress.verdict?.reason);
    expect(progress['dirty-rate']).toBe(12_207 * 4096);
  });

  it('is hopeless if the guest dirties as fast as pages are sent, until a limit is raised', () => {
    const { show, transfer, sync, domain } = started();
    domain.settings.setParameters({ 'max-bandwidth': 100_000_000 });
    transfer.step('active');
    for (let pass = 0; pass < 3; pass += 1) sync(128 * MIB);
    const figures = { dirtySyncCount: 4, bandwidth: 99e6, dirtyPagesRate: 50_000, expectedDowntimeMs: 1342 };
    const { verdict } = show(figures);
    expect(verdict?.verdict).toBe('hopeless');
    expect(verdict?.reason).toContain('raise max-bandwidth (now 100.0 MB/s)');
    domain.settings.setParameters({ 'downtime-limit': 1400 });
    expect(domain.migration.progress().verdict?.verdict).toBe('converging');
  });

  it('has a verdict or a reason in every other state', () => {
    const { show, transfer, domain } = started();
    expect(show({}).verdict?.verdict).toBe('converging');
    expect(show({})['time-to-go-unknown']).not.toBeNull();
    transfer.step('active');
    transfer.listener.guestStopped();
    transfer.step('pre-switchover');
    expect(show({}).verdict?.reason).toContain('migrate-continue');
    transfer.step('device');
    const device = show({ remainingBytes: 1e6, bandwidth: 1e8 });
    expect(device.verdict?.verdict).toBe('converging');
    expect(device['time-to-go']).toEqual({ min: 10, max: 300 });
    void domain.migration.cancel();
    expect(show({})).toMatchObject({ status: 'cancelling', verdict: null });
  });

  it('does not treat an unmeasured speed as a speed of 0', () => {
    const { show, transfer } = started();
    transfer.step('active');
    const { verdict } = show({ dirtySyncCount: 1, remainingBytes: TOTAL, bandwidth: 0 });
    expect(verdict?.reason).toBe('The first pass is under way; its speed is not measured yet.');
    expect(show({ bandwidth: 1e8 }).verdict?.reason).toBe('The first pass is under way at 100.0 MB/s.');
  });

  it.each([
    [['return-path', 'switchover-ack'], 'It waits for the target to say that it is ready (switchover-ack).'],
    [[], null],
  ])(
    'reports that the remaining memory fits for several passes and, with %j, what it waits for',
    (capabilities, why) => {
      const { show, transfer, sync } = started(capabilities);
      transfer.step('active');
      for (let pass = 0; pass < 3; pass += 1) sync(0);
      const progress = show({ dirtySyncCount: 4, bandwidth: 1e8, expectedDowntimeMs: 0, remainingBytes: 0 });
      expect(progress['time-to-go-unknown']).toBe(why);
      expect(progress['time-to-go'] === null).toBe(why !== null);
      expect(progress.verdict?.reason.endsWith(why ?? 'ms allowed.')).toBe(true);
    },
  );

  it('does not wait for the target while passes still shrink', () => {
    const { show, transfer, sync } = started(['return-path', 'switchover-ack']);
    transfer.step('active');
    for (const mib of [4, 2, 1]) sync(mib * MIB);
    const progress = show({ dirtySyncCount: 4, bandwidth: 1e8, expectedDowntimeMs: 10, remainingBytes: MIB });
    expect(progress['time-to-go']).not.toBeNull();
  });
});

describe('progress of an incoming migration', () => {
  async function awaited() {
    const world = fakeDomain({ incoming: true });
    const listened = world.domain.migration.incoming({ uri: 'tcp::0' });
    world.incoming().listen();
    return { ...world, id: (await listened).id, transfer: world.incoming() };
  }

  it('reports that no sender is connected, then the received share of the RAM, then the end', async () => {
    const { domain, transfer, id } = await awaited();
    expect(domain.migration.progress()).toMatchObject({
      status: 'setup',
      'time-to-go-unknown': 'It waits for a sender.',
    });
    transfer.activate();
    transfer.setFigures({ totalBytes: TOTAL, transferredBytes: 32 * MIB, normalPages: 8192, duplicatePages: 24_576 });
    expect(domain.migration.progress()).toMatchObject({
      status: 'active',
      'first-pass-percent': 25,
      remaining: TOTAL - 128 * MIB,
      verdict: null,
      'time-to-go': null,
      'time-to-go-unknown':
        '32.0 MiB have come, with 32768 pages (128.0 MiB of 512.0 MiB of RAM); only the source knows how much it will ' +
        'send again.',
    });
    transfer.load();
    await domain.migration.ended(id, 1000);
    expect(domain.migration.progress()).toMatchObject({
      status: 'completed',
      'first-pass-percent': 100,
      remaining: 0,
      'time-to-go-unknown': 'The migration is completed.',
    });
  });

  it('has a time line from the arrival of a stream on', async () => {
    const { domain, transfer, time, id } = await awaited();
    time.pass(10_000);
    transfer.activate();
    transfer.setFigures({ totalBytes: TOTAL, transferredBytes: MIB });
    time.pass(1000);
    transfer.load();
    await domain.migration.ended(id, 1000);
    const { items } = domain.history.samples(id, { limit: 100, cursor: null });
    expect(items).toHaveLength(11);
    expect(items[0]).toMatchObject({ atMs: 10_100, status: 'active', transferredBytes: MIB });
  });
});
