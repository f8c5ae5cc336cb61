import { describe, expect, test } from 'vitest';
import { fakeDomain } from '../fakes/fake-domain.ts';
import { refusalOf } from '../fakes/refusal.ts';

const MIB = 2 ** 20;

function domainWithRing() {
  const world = fakeDomain();
  world.machine.dirty.ringEntries = 4096;
  world.machine.vcpus = 3;
  return world;
}

describe('without a dirty ring', () => {
  test('every limit is refused, and a cancel has no effect, as in QEMU', () => {
    const { domain, machine } = fakeDomain();
    for (const [rate, cpu] of [[10], [0], [10, 9]] as const) {
      expect(refusalOf(() => domain.dirty.setVcpuDirtyLimit(rate, cpu))).toMatchObject({ code: 'dirty_ring_needed' });
    }
    domain.dirty.cancelVcpuDirtyLimit();
    domain.dirty.cancelVcpuDirtyLimit(9);
    expect(domain.dirty.queryVcpuDirtyLimit()).toEqual([]);
    expect(machine.dirty.limits.size).toBe(0);
  });
});

describe('with a dirty ring', () => {
  test('one vCPU or all of them can be limited, and only limited vCPUs are listed', () => {
    const { domain, machine } = domainWithRing();
    domain.dirty.setVcpuDirtyLimit(50, 1);
    machine.dirty.rates = [0, 49.6 * MIB, 0];
    expect(domain.dirty.queryVcpuDirtyLimit()).toEqual([{ 'cpu-index': 1, 'limit-rate': 50, 'current-rate': 50 }]);
    domain.dirty.setVcpuDirtyLimit(60);
    expect([...machine.dirty.limits].sort()).toEqual([
      [0, 60],
      [1, 60],
      [2, 60],
    ]);
    expect(domain.dirty.queryVcpuDirtyLimit().map((info) => info['cpu-index'])).toEqual([0, 1, 2]);
    expect(domain.dirty.queryVcpuDirtyLimit(2n).map((info) => info['cpu-index'])).toEqual([2]);
    expect(refusalOf(() => domain.dirty.queryVcpuDirtyLimit(3))).toMatchObject({ code: 'value_out_of_range' });
  });

  test('a limit is cancelled by its vCPU, by a rate of 0, or with all others', () => {
    const { domain, machine } = domainWithRing();
    domain.dirty.setVcpuDirtyLimit(50);
    domain.dirty.cancelVcpuDirtyLimit(0);
    domain.dirty.setVcpuDirtyLimit(0, 2n);
    expect([...machine.dirty.limits.keys()]).toEqual([1]);
    domain.dirty.cancelVcpuDirtyLimit();
    domain.dirty.cancelVcpuDirtyLimit();
    expect(machine.dirty.limits.size).toBe(0);
    expect(domain.dirty.queryVcpuDirtyLimit()).toEqual([]);
  });

  test('an unknown vCPU is refused, and nothing changes', () => {
    const { domain, machine } = domainWithRing();
    for (const cpu of [-1, 3, 2n ** 62n]) {
      for (const call of [
        () => domain.dirty.setVcpuDirtyLimit(10, cpu),
        () => domain.dirty.setVcpuDirtyLimit(0, cpu),
        () => domain.dirty.cancelVcpuDirtyLimit(cpu),
      ]) {
        expect(refusalOf(call)).toMatchObject({ code: 'value_out_of_range', violations: [{ pointer: '/cpu-index' }] });
      }
    }
    expect(machine.dirty.limits.size).toBe(0);
  });

  test('a rate is reported exactly as it was set', () => {
    const { domain } = domainWithRing();
    domain.dirty.setVcpuDirtyLimit(2n ** 64n - 1n, 0);
    expect(domain.dirty.queryVcpuDirtyLimit()[0]?.['limit-rate']).toBe(2n ** 64n - 1n);
  });
});
