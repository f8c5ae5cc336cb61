import type { Page } from '../cursor.ts';
import { DomainError } from '../errors.ts';
import { Changes, type EventHub, type Revisions } from '../events/event-hub.ts';
import { logJobBegan, logJobEnded, type OutcomeCounts } from '../events/outcomes.ts';
import type { Clock, NextTurn, Note, Report, Schedule } from '../ports/process.ts';
import type { JobQuery, JobRecord, Store } from '../ports/store.ts';
import { withReserve } from '../store-reserve.ts';
import { Job } from './job.ts';
import { emitJobStatus, JobJournal } from './job-journal.ts';
import type { JobVerb } from './job-lifecycle.ts';
import { ProgressWatch } from './job-progress-watch.ts';
import { endedView, jobsThatBegin, waitingJobs, waitsBehind } from './job-queue.ts';
import { checkJobId, type JobSpec, type JobView } from './job-spec.ts';

/** Largest number of jobs that have not concluded. */
export const JOBS_MAX = 1000;
/** Largest number of concluded jobs in the list: beyond it the oldest is dismissed. */
export const CONCLUDED_JOBS_LISTED = 100;

/** An id, which names its newest job, or the sequence number of a job. */
export type JobName = string | number;

export type JobsOptions = {
  readonly store: Store;
  readonly events: EventHub;
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly nextTurn: NextTurn;
  readonly note: Note;
  readonly report: Report;
  readonly outcomeCounts: OutcomeCounts;
};

export interface JobUseCases extends Revisions {
  /** Jobs that were not dismissed, newest first. */
  list(): readonly JobView[];
  /** A job that is listed, or the newest of this id in the history. */
  get(id: string): JobView;
  /** @returns the job as it is afterwards. */
  apply(id: string, verb: JobVerb): JobView;
  /** Jobs that have ended, newest first. */
  history(query: JobQuery): Page<JobView>;
  /** Resolves when the job has concluded, or after `timeoutMs`. */
  ended(which: JobName, timeoutMs: number, signal?: AbortSignal): Promise<JobView>;
}

/**
 * The jobs of one machine. A job starts when all its resources are free and no earlier job waits for any of them: jobs
 * on different nodes run in parallel, and jobs on the same node one after another.
 */
export class Jobs implements JobUseCases {
  readonly #options: JobsOptions;
  /** Listed jobs, oldest first. */
  readonly #jobs = new Map<string, Job>();
  readonly #journal: JobJournal;
  readonly #changes: Changes;
  readonly #progress: ProgressWatch;
  #refusesNew = false;
  #isClosing = false;

  constructor(options: JobsOptions) {
    this.#options = options;
    this.#journal = new JobJournal(options);
    this.#progress = new ProgressWatch(options.schedule, {
      alive: () => this.#alive(),
      notify: () => this.#changes.notify(),
    });
    this.#changes = new Changes(options.schedule, () => this.#progress.revision());
  }

  /**
   * Stores the job and starts it when its resources are free. Throws nothing after the row is stored.
   * @throws DomainError shutting_down, invalid_job_id, job_id_in_use, too_many_jobs; the errors of `onInsert` and of
   * the store.
   */
  start(spec: JobSpec): JobView {
    if (this.#refusesNew) throw new DomainError('shutting_down', 'The service is shutting down.');
    this.#refuseId(spec.id);
    this.#refuseTooMany();
    const { store, events, clock } = this.#options;
    if (spec.freesRoom !== true) store.reserve.keep();
    const { id, type, resources, details } = spec;
    const waitsFor = waitsBehind(this.#alive(), resources);
    const insert = () =>
      events.commit((emit) => {
        const inserted = store.jobs.insert({ id, type, resources, details, createdAt: clock.now() });
        emitJobStatus(emit, inserted);
        spec.onInsert?.({ ...inserted, isPaused: false, waitsFor });
        return inserted;
      });
    const record = spec.freesRoom === true ? withReserve(store, insert) : insert();
    const job = this.#add(spec, record);
    logJobBegan(this.#options.note, record);
    this.#changes.bump();
    void job.ended.then(() => this.#count(job));
    this.#startNext();
    return this.#viewOf(job);
  }

  /** Lists a concluded job of an earlier process, so that its client sees its end. */
  adopt(record: JobRecord): void {
    const { id, type, details } = record;
    const run = () => Promise.reject(new TypeError('a job of an earlier process has no work'));
    this.#add({ id, type, resources: [], details, run }, record);
    this.#dismissSurplus();
  }

  /** Listed jobs, newest first. */
  list(): readonly JobView[] {
    const waiting = waitingJobs(this.#alive());
    return [...this.#jobs.values()].map((job) => this.#viewOf(job, waiting)).reverse();
  }

  /** A job that is listed, or the newest of this id in the history. @throws DomainError if there never was one. */
  get(id: string): JobView {
    const job = this.#jobs.get(id);
    if (job !== undefined) return this.#viewOf(job);
    const record = this.#options.store.jobs.get(id);
    if (record === null) throw new DomainError('job_not_found', `There is no job '${id}'.`);
    return endedView(record);
  }

  /** Jobs that have ended, newest first. */
  history(query: JobQuery): Page<JobView> {
    const { items, next } = this.#options.store.jobs.list(query);
    return { items: items.map(endedView), next };
  }

  /** @throws DomainError if the job is not listed, or its state does not allow the verb. */
  apply(id: string, verb: JobVerb): JobView {
    const job = this.#jobs.get(id);
    if (job === undefined) {
      const wasDismissed = this.#options.store.jobs.get(id) !== null;
      const detail = wasDismissed ? `Job '${id}' has ended, and is only in the history.` : `There is no job '${id}'.`;
      throw new DomainError('job_not_found', detail);
    }
    job.apply(verb);
    return this.#viewOf(job);
  }

  /** Grows with every visible change of the list, figures included. */
  revision(): number {
    return this.#changes.revision();
  }

  /** Resolves when `revision()` is no longer `seen`, at the time-out, or when `signal` aborts. */
  async changed(seen: number, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const stopLooking = this.#progress.look();
    await this.#changes.changed(seen, timeoutMs, signal);
    stopLooking();
  }

  /** The job once it has concluded, or as it is at the time-out or when `signal` aborts. */
  async ended(which: JobName, timeoutMs: number, signal?: AbortSignal): Promise<JobView> {
    const job = this.#listed(which);
    if (job === undefined) return typeof which === 'string' ? this.get(which) : this.#past(which);
    await this.#changes.until(() => job.isConcluded, timeoutMs, signal);
    return this.#viewOf(job);
  }

  #viewOf(job: Job, waiting = waitingJobs(this.#alive())): JobView {
    return { ...job.record(), isPaused: job.isPaused, waitsFor: waiting.get(job) ?? [] };
  }

  #listed(which: JobName): Job | undefined {
    if (typeof which === 'string') return this.#jobs.get(which);
    return [...this.#jobs.values()].find(({ sequence }) => sequence === which);
  }

  #past(sequence: number): JobView {
    const record = this.#options.store.jobs.bySequence(sequence);
    if (record !== null) return endedView(record);
    throw new DomainError('job_not_found', 'The job has ended, and is too old for the history.');
  }

  /**
   * Id of the job that has the resource, or of the first waiting job that will get it without a resume; null if there
   * is none. A job paused before its start claims nothing, and neither do jobs behind it.
   */
  holderOf(resource: string): string | null {
    const claims = jobsThatBegin(this.#alive()).filter((job) => job.spec.resources.includes(resource));
    return (claims.find(({ status }) => status !== 'created') ?? claims[0])?.id ?? null;
  }

  /** Refuses new jobs. Waiting jobs still start. */
  refuseNew(): void {
    this.#refusesNew = true;
  }

  /** Resolves when all jobs that exist now have ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#alive().map((job) => job.ended));
  }

  /** Refuses new jobs, cancels all jobs that can be cancelled, and resolves when all have ended. */
  async close(): Promise<void> {
    this.refuseNew();
    this.#isClosing = true;
    const alive = this.#alive();
    for (const job of alive) this.#cancelAtClose(job);
    await Promise.all(alive.map((job) => job.ended));
    this.#journal.close();
  }

  /** A job that can no longer be cancelled ends soon by itself. */
  #cancelAtClose(job: Job): void {
    if (job.isConcluded) return;
    try {
      job.cancel(new DomainError('job_cancelled', 'The job was cancelled, since the service was stopped.'));
    } catch (error) {
      if (!(error instanceof DomainError)) this.#options.report(error);
    }
  }

  #alive(): readonly Job[] {
    return [...this.#jobs.values()].filter((job) => !job.isConcluded);
  }

  #add(spec: JobSpec, record: JobRecord): Job {
    const { clock, nextTurn, report } = this.#options;
    const job = new Job(spec, record, {
      clock,
      nextTurn,
      report,
      keep: (changed) => this.#keep(changed),
      keepNow: (changed) => this.#journal.keepNow(changed),
      moved: () => this.#moved(),
    });
    this.#jobs.set(record.id, job);
    return job;
  }

  #keep(job: Job): void {
    if (job.status === 'null') this.#jobs.delete(job.id);
    this.#journal.keep(job);
    this.#changes.bump();
  }

  #moved(): void {
    this.#startNext();
    this.#dismissSurplus();
  }

  #count(job: Job): void {
    const record = job.record();
    const { type, outcome } = record;
    logJobEnded(this.#options.note, record);
    if (outcome !== null) this.#options.outcomeCounts.jobEnded(type, outcome);
  }

  #dismissSurplus(): void {
    const concluded = [...this.#jobs.values()].filter((job) => job.isConcluded);
    for (const job of concluded.slice(0, Math.max(0, concluded.length - CONCLUDED_JOBS_LISTED))) job.dismiss();
  }

  /** Starts waiting jobs in order. A job that must wait keeps its place and its claim. */
  #startNext(): void {
    if (this.#isClosing) return;
    const alive = this.#alive();
    const taken = new Set(alive.filter(({ status }) => status !== 'created').flatMap(({ spec }) => spec.resources));
    for (const job of alive) {
      const isFree = job.spec.resources.every((resource) => !taken.has(resource));
      for (const resource of job.spec.resources) taken.add(resource);
      if (isFree && job.mayStart) job.start();
    }
  }

  #refuseId(id: string | null): void {
    if (id === null) return;
    checkJobId(id);
    if (!this.#jobs.has(id)) return;
    throw new DomainError('job_id_in_use', `There is a job '${id}' that was not dismissed yet.`);
  }

  #refuseTooMany(): void {
    if (this.#alive().length < JOBS_MAX) return;
    throw new DomainError('too_many_jobs', `${JOBS_MAX} jobs run or wait, which is as many as there may be.`);
  }
}
