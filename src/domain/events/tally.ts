import type { JobOutcome } from '../jobs/status.ts';
import type { MigrationEnd } from '../ports/migration-session.ts';
import type { MigrationDirection, StoreFigures } from '../ports/store.ts';

/* What this process has seen end, in numbers: for those who watch from outside. Nothing in the service depends on it. */

export type MigrationTally = {
  readonly direction: MigrationDirection;
  readonly outcome: MigrationEnd['status'];
  readonly count: number;
};
export type JobTally = { readonly type: string; readonly outcome: JobOutcome; readonly count: number };

/** Figures of the service itself; they begin anew with each process, but for the store's size. */
export type ServiceFigures = {
  readonly migrations: readonly MigrationTally[];
  readonly jobs: readonly JobTally[];
  readonly snapshots: number;
  /** When the newest snapshot was taken that is on all nodes and of one moment; null if there is none. */
  readonly lastGoodSnapshotMs: number | null;
  readonly store: StoreFigures;
};

/** Counts by two words. */
class Counts {
  readonly #counts = new Map<string, Map<string, number>>();

  add(of: string, outcome: string): void {
    const row = this.#counts.get(of) ?? new Map<string, number>();
    row.set(outcome, (row.get(outcome) ?? 0) + 1);
    this.#counts.set(of, row);
  }

  rows(): readonly { readonly of: string; readonly outcome: string; readonly count: number }[] {
    return [...this.#counts].flatMap(([of, row]) => [...row].map(([outcome, count]) => ({ of, outcome, count })));
  }
}

export class Tally {
  readonly #migrations = new Counts();
  readonly #jobs = new Counts();

  migrationEnded(direction: MigrationDirection, outcome: MigrationEnd['status']): void {
    this.#migrations.add(direction, outcome);
  }

  jobEnded(type: string, outcome: JobOutcome): void {
    this.#jobs.add(type, outcome);
  }

  migrations(): readonly MigrationTally[] {
    return this.#migrations.rows().map(({ of, outcome, count }) => ({
      direction: of as MigrationDirection,
      outcome: outcome as MigrationEnd['status'],
      count,
    }));
  }

  jobs(): readonly JobTally[] {
    return this.#jobs.rows().map(({ of, outcome, count }) => ({ type: of, outcome: outcome as JobOutcome, count }));
  }
}
