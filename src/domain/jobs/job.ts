import type { Clock, NextTurn } from '../ports/process.ts';
import type { JobRecord } from '../ports/store.ts';
import {
  errorOf,
  isConcluded,
  JOB_VERB_STATES,
  type JobError,
  type JobOutcome,
  type JobStatus,
  type JobVerb,
  jobCancelled,
  notCancellable,
  transition,
  verbNotAllowed,
  withWarning,
} from './job-lifecycle.ts';
import type { JobControl, JobHooks, JobProgress, JobRecovery, JobSpec } from './job-spec.ts';

/** The functions of the registry that a job uses. */
export type JobDependencies = {
  readonly clock: Clock;
  readonly nextTurn: NextTurn;
  /** Writes the job and the events of its new steps. An error is reported, and the next write includes them. */
  readonly keep: (job: Job) => void;
  /** Like `keep`, but an error is thrown. */
  readonly keepNow: (job: Job) => void;
  /** Called when another job may be able to start. */
  readonly moved: () => void;
  readonly report: (error: unknown) => void;
};

/**
 * One job. Verbs come from clients, all other calls from its work. After a pause before its start the job keeps its
 * place in the queue, and its work does not start.
 */
export class Job implements JobControl {
  readonly spec: JobSpec;
  /** Steps that are not written yet, oldest first. */
  readonly unwrittenSteps: JobStatus[] = [];
  readonly #dependencies: JobDependencies;
  readonly #ended = Promise.withResolvers<void>();
  #record: JobRecord;
  #progress: (() => JobProgress) | null = null;
  #hooks: JobHooks | null = null;
  #isPaused = false;
  #cancelReason: JobError | null = null;
  #isPastCancel = false;
  #startedMs = 0;
  #complete: PromiseWithResolvers<void> | null = null;
  #isToComplete = false;
  #keepsPhase = false;

  constructor(spec: JobSpec, record: JobRecord, dependencies: JobDependencies) {
    this.spec = spec;
    this.#record = record;
    this.#dependencies = dependencies;
  }

  get id(): string {
    return this.#record.id;
  }

  get sequence(): number {
    return this.#record.sequence;
  }

  get status(): JobStatus {
    return this.#record.status;
  }

  get isConcluded(): boolean {
    return isConcluded(this.status);
  }

  get isCancelled(): boolean {
    return this.#cancelReason !== null;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** True if it waits for its resources and is not paused. */
  get mayStart(): boolean {
    return this.status === 'created' && !this.#isPaused;
  }

  /** Resolves when it has concluded. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /** The row of the job, with its current figures. */
  record(): JobRecord {
    if (this.#record.endedAt !== null) return this.#record;
    const { current, total } = this.progress();
    return { ...this.#record, currentProgress: current, totalProgress: total, durationMs: this.#durationMs() };
  }

  progress(): JobProgress {
    return this.#progress?.() ?? { current: this.#record.currentProgress, total: this.#record.totalProgress };
  }

  reportProgress(source: () => JobProgress): void {
    this.#progress = source;
  }

  warn(text: string): void {
    const warnings = withWarning(this.#record.warnings, text);
    if (warnings !== this.#record.warnings) this.#change({ warnings });
  }

  setPhase(phase: string, recovery: JobRecovery | null = this.#record.recovery): void {
    const before = this.#record;
    this.#record = { ...before, phase, recovery };
    try {
      this.#dependencies.keepNow(this);
    } catch (error) {
      this.#record = before;
      throw error;
    }
  }

  enterPhase(phase: string): void {
    this.#change({ phase });
  }

  keepPhase(): void {
    this.#keepsPhase = true;
  }

  setResult(result: Readonly<Record<string, unknown>>): void {
    this.#change({ result });
  }

  control(hooks: JobHooks): void {
    this.#hooks = hooks;
    if (this.isCancelled) hooks.cancel();
    else if (this.#isPaused) this.#pauseWork();
  }

  cannotBeCancelled(): void {
    if (this.isCancelled) throw jobCancelled();
    this.#isPastCancel = true;
  }

  ready(): Promise<void> {
    if (this.isCancelled) return Promise.reject(jobCancelled());
    // The work became ready before it could obey a pause.
    if (this.status === 'paused') this.#step('running');
    this.#step('ready');
    if (this.#isPaused) this.#step('standby');
    this.#dependencies.keep(this);
    this.#complete = Promise.withResolvers<void>();
    // Prevents an unhandled rejection: the work may wait for something else at the same time.
    this.#complete.promise.catch(() => {});
    return this.#complete.promise;
  }

  /** Starts the work. The job has its resources now. */
  start(): void {
    const { clock, nextTurn } = this.#dependencies;
    this.#startedMs = clock.monotonic();
    this.#step('running', { startedAt: clock.now() });
    this.#dependencies.keep(this);
    // The caller receives the job before its work starts, and other requests are answered first.
    void nextTurn()
      .then(() => (this.isCancelled ? Promise.reject(jobCancelled()) : this.spec.run(this)))
      .then(
        () => this.#succeeded(),
        (error: unknown) => this.#abort(errorOf(error, this.#dependencies.report)),
      )
      .catch(this.#dependencies.report);
  }

  /** @throws DomainError if the state does not allow the verb. */
  apply(verb: JobVerb): void {
    if (!JOB_VERB_STATES[verb].includes(this.status)) throw verbNotAllowed(this, verb);
    this[verb]();
  }

  cancel(reason: JobError = jobCancelled()): void {
    if (this.#isPastCancel) throw notCancellable(this);
    if (this.isCancelled) return;
    this.#cancelReason = { code: reason.code, message: reason.message };
    const hasWork = this.status !== 'created' && this.status !== 'pending';
    if (hasWork) this.#cancelWork();
    else this.#abort(reason);
  }

  pause(): void {
    if (this.#isPaused) throw verbNotAllowed(this, 'pause', 'it is paused already');
    this.#isPaused = true;
    this.#pauseWork();
  }

  resume(): void {
    if (!this.#isPaused) throw verbNotAllowed(this, 'resume', 'it is not paused');
    this.#wake();
    this.#dependencies.keep(this);
    this.#hooks?.resume();
    this.#completeIfAsked();
    this.#dependencies.moved();
  }

  complete(): void {
    this.#isToComplete = true;
    this.#completeIfAsked();
  }

  finalize(): void {
    this.#conclude('completed', null);
  }

  dismiss(): void {
    this.#step('null');
    this.#dependencies.keep(this);
  }

  #cancelWork(): void {
    const wasPaused = this.#isPaused;
    this.#wake();
    this.#dependencies.keep(this);
    this.#hooks?.cancel();
    if (wasPaused) this.#hooks?.resume();
    this.#complete?.reject(jobCancelled());
  }

  /** Ends a pause in state paused or standby. */
  #wake(): void {
    this.#isPaused = false;
    if (this.status === 'paused') this.#step('running');
    if (this.status === 'standby') this.#step('ready');
  }

  /** In standby, the verb complete takes effect at the resume. */
  #completeIfAsked(): void {
    if (this.#isToComplete && this.status === 'ready') this.#complete?.resolve();
  }

  /** Work without hooks continues until it sets them. */
  #pauseWork(): void {
    if (this.#hooks !== null) this.#hooks.pause();
    if (this.status === 'ready') this.#step('standby');
    if (this.status === 'running' && this.#hooks !== null) this.#step('paused');
    this.#dependencies.keep(this);
  }

  #succeeded(): void {
    this.#wake();
    this.#step('waiting');
    this.#step('pending');
    if (this.spec.autoFinalize === false) this.#dependencies.keep(this);
    else this.#conclude('completed', null);
  }

  #abort(error: JobError): void {
    this.#wake();
    this.#step('aborting');
    const reason = this.#cancelReason;
    if (reason !== null && error.code === 'job_cancelled') this.#conclude('cancelled', reason);
    else this.#conclude('failed', error);
  }

  #conclude(outcome: JobOutcome, error: JobError | null): void {
    const { current, total } = this.progress();
    const change: Partial<JobRecord> = {
      outcome,
      errorCode: error?.code ?? null,
      errorDescription: error?.message ?? null,
      endedAt: this.#dependencies.clock.now(),
      durationMs: this.#durationMs(),
      currentProgress: current,
      totalProgress: total,
      ...(this.#keepsPhase ? {} : { phase: null, recovery: null }),
    };
    this.#progress = null;
    this.#hooks = null;
    this.#step('concluded', change);
    if (this.spec.autoDismiss === true) this.#step('null');
    this.#dependencies.keep(this);
    this.#ended.resolve();
    this.#dependencies.moved();
  }

  #durationMs(): number | null {
    if (this.#record.startedAt === null) return null;
    return Math.round(this.#dependencies.clock.monotonic() - this.#startedMs);
  }

  #step(status: JobStatus, change: Partial<JobRecord> = {}): void {
    this.#record = { ...this.#record, ...change, status: transition(this.status, status) };
    this.unwrittenSteps.push(status);
  }

  #change(change: Partial<JobRecord>): void {
    this.#record = { ...this.#record, ...change };
    this.#dependencies.keep(this);
  }
}
