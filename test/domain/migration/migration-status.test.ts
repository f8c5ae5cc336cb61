import { describe, expect, it } from 'vitest';
import {
  CANCEL_OUTCOMES,
  isAllowed,
  isEnded,
  isRunning,
  MIGRATION_STATUSES,
  type MigrationStatus,
  SharedStatus,
  TRANSITIONS,
} from '../../../src/domain/migration/migration-status.ts';

/** A shared status in `status`, reached by the shortest allowed path from `none`. */
function wordIn(status: MigrationStatus): SharedStatus {
  const ways = new Map<MigrationStatus, MigrationStatus[]>([['none', []]]);
  for (const [from, way] of ways) {
    for (const to of TRANSITIONS[from]) if (!ways.has(to)) ways.set(to, [...way, to]);
  }
  const word = new SharedStatus();
  for (const to of ways.get(status)!) expect(word.transition(word.read(), to)).toBe(true);
  return word;
}

describe('the lifecycle of a migration', () => {
  it('reaches every status of the schema from none', () => {
    for (const status of MIGRATION_STATUSES) expect(wordIn(status).read()).toBe(status);
  });

  it('allows exactly the transitions of the table, and a refused transition changes nothing', () => {
    for (const from of MIGRATION_STATUSES) {
      for (const to of MIGRATION_STATUSES) {
        const word = wordIn(from);
        if (isAllowed(from, to)) {
          expect(word.transition(from, to)).toBe(true);
          expect(word.read()).toBe(to);
        } else {
          expect(() => word.transition(from, to)).toThrow(RangeError);
          expect(word.read()).toBe(from);
        }
      }
    }
  });

  it('lets only one of two writers make a transition from the same status', () => {
    const word = wordIn('active');
    const other = new SharedStatus(word.buffer);
    expect(word.transition('active', 'device')).toBe(true);
    expect(other.transition('active', 'failed')).toBe(false);
    expect(other.read()).toBe('device');
  });

  it('decides a cancel in every state as the table of faults does', () => {
    const outcomes = Object.fromEntries(MIGRATION_STATUSES.map((status) => [status, wordIn(status).cancel()]));
    expect(outcomes).toEqual({
      none: 'nothing-to-cancel',
      setup: 'cancelled',
      'wait-unplug': 'cancelled',
      active: 'cancelled',
      'pre-switchover': 'cancelled',
      device: 'cancelled',
      cancelling: 'cancelled',
      cancelled: 'cancelled',
      completed: 'already-completed',
      failed: 'already-failed',
      'postcopy-active': 'not-cancellable',
      'postcopy-paused': 'not-cancellable',
      'postcopy-recover-setup': 'not-cancellable',
      'postcopy-recover': 'not-cancellable',
      colo: 'not-cancellable',
    });
    for (const outcome of Object.values(outcomes)) expect(CANCEL_OUTCOMES).toContain(outcome);
  });

  it('accepts no cancel after the target may have the guest', () => {
    const word = wordIn('device');
    expect(word.handOver()).toBe(true);
    expect(word.cancel()).toBe('not-cancellable');
    expect(word.isHandedOver()).toBe(true);
    expect(word.transition('device', 'completed')).toBe(true);
    expect(word.isHandedOver()).toBe(false);
  });

  it('allows no handover after a cancel', () => {
    const word = wordIn('device');
    expect(word.cancel()).toBe('cancelled');
    expect(word.handOver()).toBe(false);
    expect(word.read()).toBe('cancelling');
  });

  it('counts a migration as running from setup until its end', () => {
    const idle = MIGRATION_STATUSES.filter((status) => !isRunning(status));
    expect(idle).toEqual(['none', 'cancelled', 'completed', 'failed']);
    expect(MIGRATION_STATUSES.filter(isEnded)).toEqual(['cancelled', 'completed', 'failed']);
  });
});
