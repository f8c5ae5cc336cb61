// A migration, two callers that cancel it, and its end, in an order that a test selects.

import { expect, onTestFinished } from 'vitest';
import type { CancelOutcome } from '../../src/domain/migration/migration-status.ts';
import { fakeDomain } from '../domain/fakes/fake-domain.ts';
import type { FakeOutgoing } from '../domain/fakes/fake-engine.ts';
import { openMemoryStore } from './memory-store.ts';

/** The stage that the migration reaches before it ends. */
export const STAGES = ['setup', 'active', 'pre-switchover', 'device'] as const;
export type Stage = (typeof STAGES)[number];

/** The end that the worker reports if no cancel succeeds. */
export const ENDS = ['completed', 'failed'] as const;
export type End = (typeof ENDS)[number];

export type Step = { readonly label: string; readonly work: () => void };

/** Executes all steps in order, and calls `cancel` twice between them. */
export type Play = (steps: readonly Step[], cancel: () => void) => Promise<void>;

export type Races = {
  /** The steps of the worker. */
  stepsOf(stage: Stage, wanted: End): number;
  run(stage: Stage, wanted: End, play: Play): Promise<void>;
  /** The ends of the races so far. */
  readonly ends: ReadonlySet<string>;
};

/** Other possible answers to callers whose cancel was too late. */
const ALLOWED = {
  cancelled: ['cancelled'],
  completed: ['already-completed', 'not-cancellable'],
  failed: ['already-failed'],
};

/** Races over one store, each in its own domain. A race with two ends, or with contradictory answers, fails the test. */
export function openRaces(): Races {
  const store = openMemoryStore();
  onTestFinished(() => store.close());
  let lastId = 0;
  const ids = () => `id-${++lastId}`;
  const ends = new Set<string>();
  const start = (over: Parameters<typeof fakeDomain>[0]) => {
    const world = fakeDomain(over);
    const { id } = world.domain.migration.start({ uri: 'tcp:127.0.0.1:4444' });
    return { world, id, transfer: world.outgoing() };
  };
  return {
    ends,
    // A migration outside the races, which never ends.
    stepsOf: (stage, wanted) => workerSteps(start({}).transfer, stage, wanted).length,
    run: async (stage, wanted, play) => {
      const first = store.events.bounds().newest;
      const { world, id, transfer } = start({ store, ids });
      const outcomes: Promise<{ outcome: CancelOutcome; status: string }>[] = [];
      // The history at the moment when a caller gets its answer.
      const answer = (outcome: CancelOutcome) => ({ outcome, status: world.domain.history.get(id).record.status });
      await play(workerSteps(transfer, stage, wanted), () => {
        outcomes.push(world.domain.migration.cancel().then(answer));
      });
      await world.domain.migration.ended(id, 1000);
      const told = await Promise.all(outcomes);
      const { status } = world.domain.history.get(id).record;
      const endings = store.events
        .since(first, 1000)
        .filter(({ name }) => name === 'MIGRATION')
        .map(({ data }) => String(data?.status))
        .filter((word) => Object.hasOwn(ALLOWED, word));
      expect(endings).toEqual([status]);
      expect(world.domain.migration.query().status).toBe(status);
      expect(transfer.status.read()).toBe(status);
      expect(told).toHaveLength(2);
      for (const one of told) {
        expect(ALLOWED[status as keyof typeof ALLOWED]).toContain(one.outcome);
        if (one.outcome !== 'not-cancellable') expect(one.status).toBe(status);
      }
      expect(world.domain.machine.status().status).toBe(status === 'completed' ? 'postmigrate' : 'running');
      expect(world.faults).toEqual([]);
      ends.add(status);
    },
  };
}

/** The steps of the worker, which end when a step detects a successful cancel. */
function workerSteps(transfer: FakeOutgoing, stage: Stage, wanted: End): readonly Step[] {
  let isOver = false;
  const step = (label: string, work: () => boolean): Step => ({
    label,
    work: () => {
      if (isOver || work()) return;
      isOver = true;
      transfer.letGo();
    },
  });
  // The status changes first and the message follows: a cancel may occur between the two.
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
