import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CancelOutcome } from '../../../src/domain/migration/lifecycle.ts';
import { openMemoryStore } from '../../helpers/memory-store.ts';
import { type FakeWorld, fakeDomain } from '../fakes/fake-domain.ts';

const URI = 'tcp:127.0.0.1:4444';

const STAGES = ['setup', 'active', 'pre-switchover', 'device'] as const;

function startedIn(world: FakeWorld, stage: (typeof STAGES)[number]): string {
  const { id } = world.domain.migration.start({ uri: URI });
  const transfer = world.outgoing();
  if (stage !== 'setup') transfer.step('active');
  if (stage === 'pre-switchover' || stage === 'device') transfer.listener.guestStopped();
  if (stage === 'pre-switchover') transfer.step('pre-switchover');
  if (stage === 'device') transfer.step('device');
  return id;
}

describe('a cancel', () => {
  it('finds nothing to cancel before the first migration, and on a target', async () => {
    const { domain } = fakeDomain();
    await expect(domain.migration.cancel()).resolves.toBe('nothing-to-cancel');
    const target = fakeDomain({ incoming: true });
    const listening = target.domain.migration.incoming({ uri: 'tcp::0' });
    target.incoming().listen();
    await listening;
    await expect(target.domain.migration.cancel()).resolves.toBe('nothing-to-cancel');
    expect(target.domain.migration.query().status).toBe('setup');
  });

  it.each(STAGES)('in %s ends cancelled, the guest runs on, and a second one is harmless', async (stage) => {
    const world = fakeDomain();
    const id = startedIn(world, stage);
    const cancels = [world.domain.migration.cancel(), world.domain.migration.cancel()];
    expect(world.domain.migration.query().status).toBe('cancelling');
    world.outgoing().letGo();
    expect(await Promise.all(cancels)).toEqual(['cancelled', 'cancelled']);
    await expect(world.domain.migration.cancel()).resolves.toBe('cancelled');
    expect(world.domain.history.get(id).record).toMatchObject({ status: 'cancelled', guest: 'here' });
    expect(world.domain.machine.status()).toEqual({ running: true, status: 'running' });
    expect(world.events().filter((event) => event.startsWith('MIGRATION cancel'))).toEqual([
      'MIGRATION cancelling',
      'MIGRATION cancelled',
    ]);
  });

  it('once the target may have the guest answers that it is too late', async () => {
    const world = fakeDomain();
    startedIn(world, 'device');
    world.outgoing().status.handOver();
    await expect(world.domain.migration.cancel()).resolves.toBe('not-cancellable');
    world.outgoing().finish('completed');
    await world.domain.migration.ended('id-1', 1000);
    await expect(world.domain.migration.cancel()).resolves.toBe('already-completed');
  });

  it('drops what the worker said before it learnt of the cancel', async () => {
    const world = fakeDomain();
    startedIn(world, 'setup');
    const transfer = world.outgoing();
    transfer.status.transition('setup', 'active');
    const cancel = world.domain.migration.cancel();
    transfer.listener.status('active');
    transfer.listener.pass(1);
    transfer.letGo();
    await cancel;
    expect(world.events()).toEqual(['MIGRATION setup', 'MIGRATION cancelling', 'MIGRATION cancelled']);
  });

  it('racing with another and with the end: one end wins, and everyone is told that one', async () => {
    const store = openMemoryStore();
    let lastId = 0;
    const ids = () => `id-${++lastId}`;
    const seen = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.constantFrom('completed' as const, 'failed' as const),
        fc.constantFrom(...STAGES),
        async (scheduler, wanted, stage) => {
          const first = store.events.bounds().newest;
          const world = fakeDomain({ store, ids });
          const record = world.domain.migration.start({ uri: URI });
          const transfer = world.outgoing();
          const outcomes: Promise<{ outcome: CancelOutcome; status: string }>[] = [];
          // What the history says at the very moment when a caller gets its answer.
          const answer = (outcome: CancelOutcome) => ({
            outcome,
            status: world.domain.history.get(record.id).record.status,
          });
          const cancel = (label: string) =>
            scheduler.schedule(Promise.resolve(), label).then(() => {
              outcomes.push(world.domain.migration.cancel().then(answer));
            });
          const worker = scheduler.scheduleSequence(workerSteps(transfer, stage, wanted)).task;
          const cancels = [cancel('first caller'), cancel('second caller')];
          await scheduler.waitFor(Promise.all([worker, ...cancels]));
          await world.domain.migration.ended(record.id, 1000);
          const told = await Promise.all(outcomes);
          const { record: row } = world.domain.history.get(record.id);
          const ends = store.events
            .since(first, 1000)
            .filter(({ name }) => name === 'MIGRATION')
            .map(({ data }) => String(data?.status))
            .filter((status) => ['completed', 'failed', 'cancelled'].includes(status));
          expect(ends).toEqual([row.status]);
          expect(world.domain.migration.query().status).toBe(row.status);
          expect(transfer.status.read()).toBe(row.status);
          for (const { outcome, status } of told) {
            expect(ALLOWED[row.status as keyof typeof ALLOWED]).toContain(outcome);
            if (outcome !== 'not-cancellable') expect(status).toBe(row.status);
          }
          expect(world.domain.machine.status().status).toBe(row.status === 'completed' ? 'postmigrate' : 'running');
          expect(world.faults).toEqual([]);
          seen.add(`${row.status}: ${told.map(({ outcome }) => outcome).join(', ')}`);
        },
      ),
      { numRuns: 3000 },
    );
    store.close();
    // The schedules have to reach every kind of end, or the race was none.
    expect([...seen].map((end) => end.split(':')[0])).toEqual(
      expect.arrayContaining(['completed', 'failed', 'cancelled']),
    );
  });
});

/** What callers may be told beside an end: those who came too late to win before it was decided. */
const ALLOWED = {
  cancelled: ['cancelled'],
  completed: ['already-completed', 'not-cancellable'],
  failed: ['already-failed'],
};

type Transfer = ReturnType<FakeWorld['outgoing']>;

/** The worker's part, a step at a time; it stops as soon as a step finds that a cancel has won. */
function workerSteps(transfer: Transfer, stage: (typeof STAGES)[number], wanted: 'completed' | 'failed') {
  let isOver = false;
  const step = (label: string, work: () => boolean) => ({
    label,
    builder: async () => {
      if (isOver) return;
      if (work()) return;
      isOver = true;
      transfer.letGo();
    },
  });
  // The word moves first and the message follows: a cancel may come between the two.
  const steps = [
    step('active', () => transfer.status.read() === 'setup' && transfer.status.transition('setup', 'active')),
    step('tell active', () => {
      transfer.listener.status('active');
      return true;
    }),
  ];
  const fail = step('fail', () => {
    isOver = true;
    transfer.finish('failed', { code: 'peer_closed', message: 'the peer closed the connection' });
    return true;
  });
  if (wanted === 'failed' && stage === 'setup') return [fail];
  if (wanted === 'failed' && stage === 'active') return [...steps, fail];
  steps.push(
    step('stop', () => {
      transfer.listener.guestStopped();
      return true;
    }),
  );
  if (stage === 'pre-switchover') steps.push(step('pre-switchover', () => transfer.step('pre-switchover')));
  steps.push(step('device', () => transfer.step('device')));
  if (wanted === 'failed') {
    const resume = step('resume and fail', () => {
      if (!transfer.step('failed')) return false;
      transfer.listener.guestResumed();
      transfer.end({ status: 'failed', error: { code: 'peer_closed', message: 'closed' }, guest: 'here' });
      isOver = true;
      return true;
    });
    return [...steps, resume];
  }
  steps.push(step('hand over', () => transfer.status.handOver()));
  steps.push(
    step('complete', () => {
      transfer.finish('completed');
      isOver = true;
      return true;
    }),
  );
  return steps;
}
