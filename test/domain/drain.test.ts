import { describe, expect, test } from 'vitest';
import type { JobSpec } from '../../src/domain/jobs/job-spec.ts';
import { Jobs } from '../../src/domain/jobs/jobs.ts';
import { type FakeWorld, fakeDomain } from './fakes/fake-domain.ts';
import { refusalOf } from './fakes/refusal.ts';
import { settled, Work } from './jobs/world.ts';

const TARGET = { uri: 'tcp:127.0.0.1:1' };
const COMPLETED = { status: 'completed', error: null, guest: 'there' } as const;

function startJob({ domain }: FakeWorld, spec: JobSpec): void {
  if (domain.jobs instanceof Jobs) domain.jobs.start(spec);
}

/** Starts a drain; `isOver` tells whether it has ended. */
function drained({ domain }: FakeWorld, timeoutMs: number): { readonly isOver: () => boolean } {
  let isOver = false;
  void domain.drain(timeoutMs).then(() => {
    isOver = true;
  });
  return { isOver: () => isOver };
}

describe('the drain of a service that is to end', () => {
  test('ends at once if nothing runs, and accepts no new work', async () => {
    const world = fakeDomain();
    const { isOver } = drained(world, 1000);
    await settled();
    expect([isOver(), world.time.pending]).toEqual([true, 0]);
    expect(await refusalOf(() => world.domain.migration.start(TARGET))).toMatchObject({ code: 'shutting_down' });
    expect(
      await refusalOf(() =>
        world.domain.snapshots.save({ tag: 'a', vmState: 'disk0', devices: ['disk0'], jobId: 'late' }),
      ),
    ).toMatchObject({ code: 'shutting_down' });
    expect(world.domain.history.list({ limit: 1, cursor: null }).items).toEqual([]);
  });

  test('lets an outgoing migration complete', async () => {
    const world = fakeDomain();
    world.domain.migration.start(TARGET);
    const { isOver } = drained(world, 1000);
    for (const status of ['active', 'device'] as const) world.outgoing().step(status);
    await settled();
    expect(isOver()).toBe(false);
    world.outgoing().step('completed');
    world.outgoing().end(COMPLETED);
    await settled();
    expect(isOver()).toBe(true);
    expect(world.domain.migration.query().status).toBe('completed');
  });

  test('ends at the time limit of a migration that takes longer, and at once with a limit of 0', async () => {
    const world = fakeDomain();
    world.domain.migration.start(TARGET);
    const patient = drained(world, 1000);
    const impatient = drained(world, 0);
    await settled();
    expect([patient.isOver(), impatient.isOver()]).toEqual([false, true]);
    world.time.pass(999);
    await settled();
    expect(patient.isOver()).toBe(false);
    world.time.pass(1);
    await settled();
    expect(patient.isOver()).toBe(true);
    expect(world.outgoing().status.read()).toBe('setup');
  });

  test('lets accepted jobs run', async () => {
    const world = fakeDomain();
    const [first, second] = [new Work(), new Work()];
    startJob(world, first.spec('a'));
    startJob(world, second.spec('b'));
    const { isOver } = drained(world, 1000);
    first.succeed();
    await second.begun;
    expect(isOver()).toBe(false);
    second.succeed();
    await settled();
    expect(isOver()).toBe(true);
    expect(world.domain.jobs.list().map(({ outcome }) => outcome)).toEqual(['completed', 'completed']);
  });

  test('aborts an incoming migration at once, so that the guest stays at its source', async () => {
    const world = fakeDomain({ incoming: true });
    const begun = world.domain.migration.incoming({ uri: 'tcp:127.0.0.1:0' });
    world.incoming().listen();
    await begun;
    const { isOver } = drained(world, 1000);
    await settled();
    expect(isOver()).toBe(true);
    expect(world.domain.migration.query().status).toBe('failed');
    expect(world.domain.machine.status().status).toBe('inmigrate');
  });
});
