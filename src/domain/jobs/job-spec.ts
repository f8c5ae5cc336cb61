import { DomainError } from '../errors.ts';
import type { JobRecord, OnInsert } from '../ports/store.ts';

/** A job as it is shown: its row, and its place in the queue. */
export type JobView = JobRecord & {
  /** True from a pause to the next resume: the job stands still, or will at the next moment at which its work can. */
  readonly isPaused: boolean;
  /**
   * While the job has not begun: for each resource that it needs, the id of the next job ahead of it that needs it too.
   * Not all jobs ahead, which would make the list of jobs grow with the square of their number.
   */
  readonly waitsFor: readonly string[];
};

/** The description of a job, given once when it is started. */
export type JobSpec = {
  /** Letters, digits, `-`, `.` and `_`, a letter first; null: one is made that no job here ever had. */
  readonly id: string | null;
  /** JobType of the QAPI schema, or one of our own. */
  readonly type: string;
  /** What the job needs for itself alone: `machine`, `node:NAME`. It waits until all of them are free. */
  readonly resources: readonly string[];
  /** What it was asked to do: kept as exact JSON, for the history and for a recovery. */
  readonly details: Readonly<Record<string, unknown>>;
  /**
   * The work. A rejection (a DomainError, or anything plain with `code` and `message`) fails the job; with the code
   * `job_cancelled`, after a cancel, it counts as cancelled. It must have taken back what was half-made. Work that
   * resolves has been done, also if a cancel came: then that came too late.
   */
  readonly run: (job: JobControl) => Promise<void>;
  /** Called with the new job inside the transaction that inserts it; if it throws, there is no job. */
  readonly onInsert?: OnInsert<JobView>;
  /**
   * False: the job stays in `pending` until it is finalized. `run` must have left nothing that a cancel before that
   * would have to take back. Default: true.
   */
  readonly autoFinalize?: boolean;
  /** True: the job is gone from the list once it has ended. Default: false, as with QEMU's snapshot jobs. */
  readonly autoDismiss?: boolean;
  /** True: it frees room, so on a full disk it begins in the room that is kept. Default: false. */
  readonly freesRoom?: boolean;
};

/** A phase that every job may enter: its work is done, and only the end is not written yet. A job found in it has completed. */
export const WORK_DONE = 'done';

/** Whatever a recovery needs to know: values that exact JSON can hold. */
export type JobRecovery = Readonly<Record<string, unknown>>;

/** Bytes, or whatever the work counts; both only grow. */
export type JobProgress = { readonly current: number; readonly total: number };

/** What cancel, pause and resume do to the work. A cancel may come while it is paused, and ends the pause. */
export type JobHooks = { cancel(): void; pause(): void; resume(): void };

/** A job as its own work sees it. */
export interface JobControl {
  readonly id: string;
  readonly isCancelled: boolean;
  /** Where progress is read from while the job runs, and a last time when it has ended. Must not throw. */
  reportProgress(source: () => JobProgress): void;
  /** Adds a warning, shown with the job and in the history. */
  warn(text: string): void;
  /**
   * Keeps a word before it returns: where a recovery has to look after a crash. `recovery`, what that needs to know, stays
   * until another is given. @throws if it cannot be kept; then the phase is the one before.
   */
  setPhase(phase: string, recovery?: JobRecovery): void;
  /** The same for what is true whether it can be kept now or not: if not, a later write keeps it. Never throws. */
  enterPhase(phase: string): void;
  /** The phase outlives the job, since something half-made is left: the next start puts it right. */
  keepPhase(): void;
  /** What came of it, kept with the job as exact JSON. */
  setResult(result: Readonly<Record<string, unknown>>): void;
  /** Replaces what was given before; called back at once if a cancel or a pause came already. */
  control(hooks: JobHooks): void;
  /** From now on every cancel is refused. @throws DomainError job_cancelled if one came before. */
  cannotBeCancelled(): void;
  /** Becomes ready; resolves when the job is told to complete, rejects with job_cancelled if it is cancelled instead. */
  ready(): Promise<void>;
}

/** Characters of an id, at most. QEMU has no limit; this keeps a list of ids readable and the database small. */
export const JOB_ID_LENGTH_MAX = 4096;

/** As QEMU's ids: a letter first. */
const WELL_FORMED = /^[A-Za-z][A-Za-z0-9._-]*$/;
const SHOWN_MAX = 256;

/** @throws DomainError if a job cannot have this id. */
export function checkJobId(id: string): void {
  if (WELL_FORMED.test(id) && id.length <= JOB_ID_LENGTH_MAX) return;
  const allowed = `up to ${JOB_ID_LENGTH_MAX} letters, digits, '-', '.' and '_', a letter first`;
  const reason = `A job's id is ${JSON.stringify(id.slice(0, SHOWN_MAX))}; allowed are ${allowed}.`;
  throw new DomainError('invalid_job_id', reason, { violations: [{ pointer: '/job-id', reason }] });
}
