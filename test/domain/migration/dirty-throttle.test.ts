import { describe, expect, it } from 'vitest';
import { fakeDomain } from '../fakes/fake-domain.ts';
import { FakeMachine } from '../fakes/fake-machine.ts';
import { refusalOf } from '../fakes/refusal.ts';

const MIB = 2 ** 20;

/** A migration of a guest with two vCPUs and dirty rings, with the capability. */
function migrating() {
  const machine = new FakeMachine();
  machine.dirty.ringEntries = 1024;
  machine.vcpus = 2;
  const world = fakeDomain({ machine, capabilities: ['dirty-limit'] });
  world.domain.settings.setParameters({ 'vcpu-dirty-limit': 8 });
  world.domain.dirty.setVcpuDirtyLimit(70, 1);
  const { id } = world.domain.migration.start({ uri: 'tcp:h:1' });
  world.outgoing().step('active');
  return { ...world, id, limits: () => [...machine.dirty.limits].sort() };
}

const BEFORE = [[1, 70]];
const THROTTLED = [
  [0, 8],
  [1, 8],
];

describe('the capability dirty-limit', () => {
  it('requires a dirty ring', () => {
    const { domain } = fakeDomain();
    const refusal = refusalOf(() => domain.settings.setCapabilities([{ capability: 'dirty-limit', state: true }]));
    expect(refusal?.code).toBe('incompatible_capabilities');
  });

  it('is off in a later start without the dirty ring that it was switched on with', () => {
    const { store } = migrating();
    const { domain } = fakeDomain({ store });
    expect(domain.settings.capabilities()).toContainEqual({ capability: 'dirty-limit', state: false });
  });

  it('limits every vCPU at a request of the engine, and restores the limits at the end', async () => {
    const { domain, outgoing, id, limits } = migrating();
    expect(limits()).toEqual(BEFORE);
    outgoing().listener.limitVcpus();
    expect(limits()).toEqual(THROTTLED);
    domain.migration.cancel();
    outgoing().letGo();
    await domain.migration.ended(id, 1000);
    expect(limits()).toEqual(BEFORE);
    domain.dirty.cancelVcpuDirtyLimit();
    expect(limits()).toEqual([]);
  });

  it('applies a changed limit at the next request of the engine', () => {
    const { domain, outgoing, limits } = migrating();
    outgoing().listener.limitVcpus();
    domain.settings.setParameters({ 'vcpu-dirty-limit': 5 });
    expect(limits()).toEqual(THROTTLED);
    outgoing().listener.limitVcpus();
    expect(limits()).toEqual([
      [0, 5],
      [1, 5],
    ]);
  });

  it('shows its figures, and refuses vCPU limits by command while it is active', () => {
    const { domain, outgoing, machine, limits } = migrating();
    expect(domain.migration.query()).not.toHaveProperty('dirty-limit-ring-full-time');
    outgoing().listener.limitVcpus();
    machine.dirty.rates = [8 * MIB, 4 * MIB];
    machine.dirty.shares = [0.5, 0.1];
    expect(domain.migration.query()).toMatchObject({
      'dirty-limit-throttle-time-per-round': 250_000,
      'dirty-limit-ring-full-time': Math.round(4e6 / 6),
    });
    for (const work of [() => domain.dirty.setVcpuDirtyLimit(9), () => domain.dirty.cancelVcpuDirtyLimit(0)])
      expect(refusalOf(work)).toMatchObject({ code: 'migration_in_progress' });
    expect(limits()).toEqual(THROTTLED);
  });
});
