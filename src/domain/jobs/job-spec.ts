import { DomainError } from '../errors.ts';
import type { JobRecord, OnInsert } from '../ports/store.ts';

/** A job as clients see it: its row, and its place in the queue. */
export type JobView = JobRecord & {
  /** True from a pause to the next resume: the job stands still, or will as soon as its work can. */
  readonly isPaused: boolean;
  /**
   * For a job that has not started: for each of its resources, the id of the nearest job ahead of it that needs the
   * resource too. It does not list all jobs ahead, because the size of the job list would then grow with the square of
   * their number.
   */
  readonly waitsFor: readonly string[];
};

/** The description of a job, given when it is started. */
export type JobSpec = {
  /** Letters, digits, `-`, `.` and `_`, a letter first; null: a new id that no job here ever had. */
  readonly id: string | null;
  /** JobType of the QAPI schema, or a type of vmferry. */
  readonly type: string;
  /** Resources that the job needs exclusively: `machine`, `node:NAME`. It waits until all of them are free. */
  readonly resources: readonly string[];
  /** The request, kept as exact JSON for the history and for a recovery. */
  readonly details: Readonly<Record<string, unknown>>;
  /**
   * The work. A rejection (a DomainError, or a plain object with `code` and `message`) fails the job; after a cancel,
   * the code `job_cancelled` makes it cancelled. Before it rejects, the work must undo its incomplete changes or call
   * `keepPhase`. If it resolves, the job completes, even if a cancel came.
   */
  readonly run: (job: JobControl) => Promise<void>;
  /** Called with the new job inside the transaction that inserts it; if it throws, the job is not inserted. */
  readonly onInsert?: OnInsert<JobView>;
  /**
   * False: the job stays in `pending` until it is finalized. A cancel in `pending` undoes nothing, so `run` must have
   * left no changes that it would have to undo. Default: true.
   */
  readonly autoFinalize?: boolean;
  /** True: the job is removed from the list when it has ended. Default: false, as with QEMU's snapshot jobs. */
  readonly autoDismiss?: boolean;
  /** True: the job frees space, so on a full disk it starts with the reserved space. Default: false. */
  readonly freesRoom?: boolean;
};

/**
 * A phase that every job may enter: its work is done, but its end is not written yet. A recovery completes such a job.
 */
export const WORK_DONE = 'done';

/** The data that a recovery needs: values that exact JSON can hold. */
export type JobRecovery = Readonly<Record<string, unknown>>;

/** Bytes, or another unit of the work; both only grow. */
export type JobProgress = { readonly current: number; readonly total: number };

/** Effects of cancel, pause and resume on the work. A cancel may come while the work is paused, and ends the pause. */
export type JobHooks = { cancel(): void; pause(): void; resume(): void };

/** The interface of a job for its own work. */
export interface JobControl {
  readonly id: string;
  readonly isCancelled: boolean;
  /** Sets the source of the progress. It is read while the job runs, and once at its end. It must not throw. */
  reportProgress(source: () => JobProgress): void;
  /** Adds a warning, shown with the job and in the history. */
  warn(text: string): void;
  /**
   * Stores a phase before it returns. After a crash the phase tells the recovery what to repair. `recovery`, the data
   * for that, is kept until it is replaced. @throws if it cannot be stored; then the phase is unchanged.
   */
  setPhase(phase: string, recovery?: JobRecovery): void;
  /**
   * Like `setPhase`, for a phase that has already begun. If it cannot be stored now, a later write stores it. Never
   * throws.
   */
  enterPhase(phase: string): void;
  /** Keeps the phase after the end of the job, because incomplete changes remain: the next start repairs them. */
  keepPhase(): void;
  /** Sets the result of the job, which is kept as exact JSON. */
  setResult(result: Readonly<Record<string, unknown>>): void;
  /** Sets the hooks, and replaces earlier ones. They are called immediately if a cancel or a pause has already come. */
  control(hooks: JobHooks): void;
  /** From now on every cancel is refused. @throws DomainError job_cancelled if one came before. */
  cannotBeCancelled(): void;
  /** Becomes ready. Resolves when the verb complete comes; rejects with job_cancelled if a cancel comes instead. */
  ready(): Promise<void>;
}

/** Longest id in characters. QEMU has no limit; this one keeps lists readable and the database small. */
export const JOB_ID_LENGTH_MAX = 4096;

/** The form of QEMU's ids: a letter first. */
const WELL_FORMED = /^[A-Za-z][A-Za-z0-9._-]*$/;
const SHOWN_MAX = 256;

/** @throws DomainError if a job cannot have this id. */
export function checkJobId(id: string): void {
  if (WELL_FORMED.test(id) && id.length <= JOB_ID_LENGTH_MAX) return;
  const allowed = `up to ${JOB_ID_LENGTH_MAX} letters, digits, '-', '.' and '_', a letter first`;
  const reason = `A job's id is ${JSON.stringify(id.slice(0, SHOWN_MAX))}; allowed are ${allowed}.`;
  throw new DomainError('invalid_job_id', reason, { violations: [{ pointer: '/job-id', reason }] });
}
