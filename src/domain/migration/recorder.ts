import type { PassFigures } from '../ports/migration-session.ts';
import type { Schedule } from '../ports/process.ts';
import type { MigrationSample, Store } from '../ports/store.ts';
import type { MigrationFigures } from '../settings/declared-settings.ts';
import type { MigrationStatus } from './migration-status.ts';

/** Time between two samples, in milliseconds, while a migration is young. */
export const SAMPLE_INTERVAL_MS = 100;
/** Samples written in one transaction. */
const SAMPLES_PER_WRITE = 10;
/** After so many samples the time between two is doubled, so that a migration of days stays readable and small. */
const SAMPLES_PER_STRIDE = 6000;
/** Passes of one migration that are kept. */
const PASSES_MAX = 10_000;

type Recorded = {
  readonly id: string;
  readonly status: () => MigrationStatus;
  readonly figures: () => MigrationFigures | null;
  /** Called at every tick, whether a sample is taken or not. */
  readonly onTick: () => void;
  readonly report: (error: unknown) => void;
};

/** Writes the time line of one migration: a sample about every 100 ms, in batches, and the figures of each pass. */
export class Recorder {
  readonly #store: Store;
  readonly #schedule: Schedule;
  readonly #of: Recorded;
  #batch: MigrationSample[] = [];
  #samples = 0;
  #stride = 1;
  #ticks = 0;
  #passes = 0;
  #callOff: (() => void) | null = null;

  constructor(store: Store, schedule: Schedule, of: Recorded) {
    this.#store = store;
    this.#schedule = schedule;
    this.#of = of;
  }

  start(): void {
    this.#callOff = this.#schedule(() => {
      this.#tick();
      if (this.#callOff !== null) this.start();
    }, SAMPLE_INTERVAL_MS);
  }

  passEnded(figures: PassFigures): void {
    this.#passes += 1;
    if (this.#passes > PASSES_MAX) return;
    this.#write(() => this.#store.migrations.addPass(this.#of.id, figures));
  }

  /** Takes the last sample and writes what is not written yet. */
  stop(): void {
    this.#callOff?.();
    this.#callOff = null;
    this.#sample();
    this.#flush();
  }

  #tick(): void {
    this.#ticks += 1;
    if (this.#ticks % this.#stride === 0) this.#sample();
    if (this.#batch.length >= SAMPLES_PER_WRITE) this.#flush();
    this.#of.onTick();
  }

  #sample(): void {
    const figures = this.#of.figures();
    if (figures === null) return;
    this.#batch.push({
      atMs: figures.totalTimeMs,
      status: this.#of.status(),
      transferredBytes: figures.transferredBytes,
      remainingBytes: figures.remainingBytes,
      bandwidth: figures.bandwidth,
      dirtyPagesRate: figures.dirtyPagesRate,
      expectedDowntimeMs: figures.expectedDowntimeMs,
      pass: figures.dirtySyncCount,
    });
    this.#samples += 1;
    if (this.#samples % SAMPLES_PER_STRIDE === 0) this.#stride *= 2;
  }

  #flush(): void {
    if (this.#batch.length === 0) return;
    const samples = this.#batch;
    this.#batch = [];
    this.#write(() => this.#store.migrations.addSamples(this.#of.id, samples));
  }

  /** A time line that cannot be written is no reason to end a migration. */
  #write(work: () => void): void {
    try {
      this.#store.transaction(work);
    } catch (error) {
      this.#of.report(error);
    }
  }
}
