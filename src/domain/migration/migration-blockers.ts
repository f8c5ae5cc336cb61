import { DomainError } from '../errors.ts';
import type { Occupancy } from '../occupancy.ts';
import type { IdSource } from '../ports/process.ts';

export type Blocker = { readonly id: string; readonly reason: string };

export interface BlockerUseCases {
  /** True with --only-migratable: no blocker can be added. */
  readonly isOnlyMigratable: boolean;
  list(): readonly Blocker[];
  add(reason: string): Blocker;
  remove(id: string): void;
}

/** Largest number of blockers, and longest reason in characters. */
export const BLOCKERS_MAX = 1000;
export const BLOCKER_REASON_CHARACTERS_MAX = 1000;

export type BlockerOptions = {
  readonly ids: IdSource;
  readonly onChange: () => void;
  /** --only-migratable: no blocker can be added. */
  readonly isOnlyMigratable: boolean;
  readonly occupancy: Pick<Occupancy, 'refuse'>;
};

/** Reasons against an outgoing migration. A blocker remains until a client removes it or the process ends. */
export class Blockers implements BlockerUseCases {
  readonly #options: BlockerOptions;
  readonly #blockers = new Map<string, Blocker>();

  constructor(options: BlockerOptions) {
    this.#options = options;
  }

  get isOnlyMigratable(): boolean {
    return this.#options.isOnlyMigratable;
  }

  list(): readonly Blocker[] {
    return [...this.#blockers.values()];
  }

  reasons(): readonly string[] {
    return this.list().map(({ reason }) => reason);
  }

  add(reason: string): Blocker {
    if (reason.trim() === '' || reason.length > BLOCKER_REASON_CHARACTERS_MAX) {
      const detail = `reason has ${reason.length} characters; it needs 1 to ${BLOCKER_REASON_CHARACTERS_MAX}, not only blanks.`;
      throw new DomainError('value_out_of_range', detail, { violations: [{ pointer: '/reason', reason: detail }] });
    }
    if (this.isOnlyMigratable) {
      const detail = `The service was started with --only-migratable, so nothing may forbid a migration: ${reason}`;
      throw new DomainError('only_migratable', detail);
    }
    this.#options.occupancy.refuse('blocker');
    if (this.#blockers.size >= BLOCKERS_MAX) {
      throw new DomainError('too_many_blockers', `There are ${BLOCKERS_MAX} blockers, the most there may be.`);
    }
    const blocker = { id: this.#options.ids(), reason };
    this.#blockers.set(blocker.id, blocker);
    this.#options.onChange();
    return blocker;
  }

  remove(id: string): void {
    if (!this.#blockers.delete(id)) throw new DomainError('blocker_not_found', `There is no blocker '${id}'.`);
    this.#options.onChange();
  }
}
