import { describe, expect, test } from 'vitest';
import type { CalcDirtyRateArguments } from '../../../src/domain/dirty/dirty-types.ts';
import { fakeDomain } from '../fakes/fake-domain.ts';
import { refusalOf } from '../fakes/refusal.ts';

const MIB = 2 ** 20;
const UNSTARTED = {
  status: 'unstarted',
  'start-time': 0,
  'calc-time': 0,
  'calc-time-unit': 'second',
  'sample-pages': 0,
  mode: 'page-sampling',
};

/** The answers of QEMU 10.0 at each step, with figures of the test. */
describe('query-dirty-rate', () => {
  test('reports unstarted before the first measurement', () => {
    const { domain } = fakeDomain();
    expect(domain.dirty.queryDirtyRate()).toEqual(UNSTARTED);
    expect(domain.dirty.queryDirtyRate('millisecond')).toEqual({ ...UNSTARTED, 'calc-time-unit': 'millisecond' });
  });

  test('shows the measurement in progress, and then its result with the actual duration', async () => {
    const { domain, machine, time } = fakeDomain();
    time.pass(5678);
    domain.dirty.calcDirtyRate({ 'calc-time': 1500, 'calc-time-unit': 'millisecond' });
    const common = { 'start-time': Math.floor(time.now() / 1000), 'sample-pages': 512, mode: 'page-sampling' };
    expect(machine.dirty.plans).toEqual([{ mode: 'page-sampling', calcTimeMs: 1500, samplePages: 512 }]);
    const measuring = { ...common, status: 'measuring', 'calc-time': 1, 'calc-time-unit': 'second' };
    expect(domain.dirty.queryDirtyRate()).toEqual(measuring);
    machine.dirty.found({ elapsedMs: 2000.7, bytes: 41 * MIB, bytesByVcpu: [] });
    await domain.dirty.dirtyRateMeasured(1000);
    const measured = { ...common, status: 'measured', 'dirty-rate': 20 };
    expect(domain.dirty.queryDirtyRate()).toEqual({ ...measured, 'calc-time': 2, 'calc-time-unit': 'second' });
    expect(domain.dirty.queryDirtyRate('millisecond')).toEqual({
      ...measured,
      'calc-time': 2000,
      'calc-time-unit': 'millisecond',
    });
  });

  test('in mode dirty-ring shows the rate of each vCPU, and no samples in the result', async () => {
    const { domain, machine } = fakeDomain();
    machine.dirty.ringEntries = 4096;
    domain.dirty.calcDirtyRate({ 'calc-time': 1, mode: 'dirty-ring' });
    expect(domain.dirty.queryDirtyRate()).toMatchObject({ status: 'measuring', 'sample-pages': 512 });
    machine.dirty.found({ elapsedMs: 1000, bytes: 30 * MIB, bytesByVcpu: [10 * MIB, 20 * MIB] });
    await domain.dirty.dirtyRateMeasured(1000);
    expect(domain.dirty.queryDirtyRate()).toMatchObject({
      status: 'measured',
      'sample-pages': 0,
      mode: 'dirty-ring',
      'dirty-rate': 30,
      'vcpu-dirty-rate': [
        { id: 0, 'dirty-rate': 10 },
        { id: 1, 'dirty-rate': 20 },
      ],
    });
  });

  test('still shows the previous measurement after a measurement failed, and the failure is reported', async () => {
    const { domain, machine, faults } = fakeDomain();
    domain.dirty.calcDirtyRate({ 'calc-time': 1, mode: 'dirty-bitmap' });
    machine.dirty.found({ elapsedMs: 1000, bytes: 7 * MIB, bytesByVcpu: [] });
    await domain.dirty.dirtyRateMeasured(1000);
    const before = domain.dirty.queryDirtyRate();
    domain.dirty.calcDirtyRate({ 'calc-time': 2 });
    machine.dirty.failed(new Error('memory is gone'));
    await domain.dirty.dirtyRateMeasured(1000);
    expect(domain.dirty.queryDirtyRate()).toEqual(before);
    expect(faults).toEqual([new Error('memory is gone')]);
  });
});

describe('calc-dirty-rate', () => {
  test.each<[CalcDirtyRateArguments, string]>([
    [{ 'calc-time': 0 }, 'value_out_of_range'],
    [{ 'calc-time': 61 }, 'value_out_of_range'],
    [{ 'calc-time': -1 }, 'value_out_of_range'],
    [{ 'calc-time': 2n ** 63n }, 'value_out_of_range'],
    [{ 'calc-time': 49, 'calc-time-unit': 'millisecond' }, 'value_out_of_range'],
    [{ 'calc-time': 60_001, 'calc-time-unit': 'millisecond' }, 'value_out_of_range'],
    [{ 'calc-time': 1, 'sample-pages': 127 }, 'value_out_of_range'],
    [{ 'calc-time': 1, 'sample-pages': 16_385 }, 'value_out_of_range'],
    [{ 'calc-time': 1, 'sample-pages': 512, mode: 'dirty-bitmap' }, 'incompatible_parameters'],
    [{ 'calc-time': 1, 'sample-pages': 1, mode: 'dirty-ring' }, 'incompatible_parameters'],
    [{ 'calc-time': 1, mode: 'dirty-ring' }, 'dirty_ring_needed'],
  ])('with %o is refused, and nothing is measured', (arguments_, code) => {
    const { domain, machine } = fakeDomain();
    expect(refusalOf(() => domain.dirty.calcDirtyRate(arguments_))).toMatchObject({ code });
    expect(machine.dirty.plans).toEqual([]);
    expect(domain.dirty.queryDirtyRate()).toEqual(UNSTARTED);
  });

  test.each<CalcDirtyRateArguments>([
    { 'calc-time': 60 },
    { 'calc-time': 50, 'calc-time-unit': 'millisecond', 'sample-pages': 128 },
    { 'calc-time': 60_000, 'calc-time-unit': 'millisecond', 'sample-pages': 16_384 },
  ])('with %o is accepted', (arguments_) => {
    const { domain, machine } = fakeDomain();
    domain.dirty.calcDirtyRate(arguments_);
    expect(machine.dirty.plans.length).toBe(1);
  });

  test('with several invalid values reports all of them at once', () => {
    const { domain } = fakeDomain();
    const refusal = refusalOf(() => domain.dirty.calcDirtyRate({ 'calc-time': 0, 'sample-pages': 1 }));
    expect(refusal?.violations.map(({ pointer }) => pointer)).toEqual(['/calc-time', '/sample-pages']);
  });

  test('in mode dirty-bitmap is refused for a machine with a dirty ring', () => {
    const { domain, machine } = fakeDomain();
    machine.dirty.ringEntries = 1024;
    const arguments_ = { 'calc-time': 1, mode: 'dirty-bitmap' } as const;
    expect(refusalOf(() => domain.dirty.calcDirtyRate(arguments_))).toMatchObject({ code: 'dirty_ring_in_use' });
  });

  test('is refused during a measurement, with any arguments', async () => {
    const { domain, machine } = fakeDomain();
    domain.dirty.calcDirtyRate({ 'calc-time': 1 });
    for (const calcTime of [1, 0]) {
      const refusal = refusalOf(() => domain.dirty.calcDirtyRate({ 'calc-time': calcTime }));
      expect(refusal).toMatchObject({ code: 'dirty_rate_measuring', kind: 'conflict' });
    }
    machine.dirty.found({ elapsedMs: 1000, bytes: 0, bytesByVcpu: [] });
    await domain.dirty.dirtyRateMeasured(1000);
    domain.dirty.calcDirtyRate({ 'calc-time': 1 });
    expect(machine.dirty.plans.length).toBe(2);
  });

  test('ends a wait at its time-out or abort, and at once if nothing is measured', async () => {
    const { domain, time } = fakeDomain();
    await domain.dirty.dirtyRateMeasured(60_000);
    domain.dirty.calcDirtyRate({ 'calc-time': 60 });
    const waited = domain.dirty.dirtyRateMeasured(1000);
    time.pass(1000);
    await waited;
    const gone = new AbortController();
    const abandoned = domain.dirty.dirtyRateMeasured(60_000, gone.signal);
    gone.abort();
    await abandoned;
    expect(domain.dirty.queryDirtyRate().status).toBe('measuring');
  });

  test('is ended by the end of the service, without a fault', async () => {
    const { domain, faults } = fakeDomain();
    domain.dirty.calcDirtyRate({ 'calc-time': 60 });
    await domain.close();
    expect(domain.dirty.queryDirtyRate()).toEqual(UNSTARTED);
    expect(faults).toEqual([]);
  });
});
