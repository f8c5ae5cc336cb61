import type { Page } from './cursor.ts';
import type { Clock } from './ports/process.ts';
import type { AuditListQuery, AuditRecord, AuditRepository } from './ports/store.ts';

/*
 * The audit trail: the caller, command, time and outcome of each command. A row is written when a command starts, so
 * that a crash does not lose it, and completed when it ends. Commands refused because of a missing role have their own
 * limit: a caller without rights cannot push other rows out of the trail.
 */

/** Number of rows, and of refusals, that are kept: the newest ones. */
export const AUDIT_KEPT = 100_000;
export const AUDIT_REFUSALS_KEPT = 10_000;
/** Rows written between two prunings. */
const ROWS_PER_PRUNING = 100;

/** The data of a command at its start. */
export type AuditEntry = {
  readonly door: string | null;
  readonly name: string;
  readonly address: string | null;
  readonly requestId: string | null;
  readonly command: string;
  /** JSON text, shortened and without secrets. */
  readonly arguments: string;
};

export type AuditTrace = {
  /** `errorCode` null: success. */
  end(errorCode: string | null): void;
};

export interface AuditUseCases {
  begin(entry: AuditEntry): AuditTrace;
  /** Records a command that was refused because the caller has no right to it. */
  refused(entry: AuditEntry, errorCode: string): void;
  /** Newest first. */
  list(query: AuditListQuery): Page<AuditRecord>;
}

type AuditTrailOptions = {
  readonly audit: AuditRepository;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
};

/**
 * The trail in a store. A row that cannot be written is reported and prevents no command: a cancel must work at any time.
 */
export class AuditTrail implements AuditUseCases {
  readonly #options: AuditTrailOptions;
  #untilPruning = 0;

  constructor(options: AuditTrailOptions) {
    this.#options = options;
    this.#attempt(() => options.audit.closeOpen());
  }

  begin(entry: AuditEntry): AuditTrace {
    const { audit, clock } = this.#options;
    const began = clock.monotonic();
    const id = this.#add(entry, 'running', null);
    return {
      end: (errorCode) => {
        if (id === null) return;
        const durationMs = clock.monotonic() - began;
        const outcome = errorCode === null ? 'succeeded' : 'failed';
        this.#attempt(() => audit.end(id, { outcome, errorCode, durationMs }));
      },
    };
  }

  refused(entry: AuditEntry, errorCode: string): void {
    this.#add(entry, 'refused', errorCode);
  }

  list(query: AuditListQuery): Page<AuditRecord> {
    return this.#options.audit.list(query);
  }

  #add(entry: AuditEntry, outcome: 'running' | 'refused', errorCode: string | null): number | null {
    const { audit, clock } = this.#options;
    return this.#attempt(() => {
      const id = audit.add({ ...entry, at: clock.now(), outcome, errorCode });
      this.#prune();
      return id;
    });
  }

  #prune(): void {
    this.#untilPruning -= 1;
    if (this.#untilPruning > 0) return;
    this.#untilPruning = ROWS_PER_PRUNING;
    this.#options.audit.prune({ keep: AUDIT_KEPT, keepRefusals: AUDIT_REFUSALS_KEPT });
  }

  #attempt<T>(work: () => T): T | null {
    try {
      return work();
    } catch (error) {
      this.#options.report(error);
      return null;
    }
  }
}
