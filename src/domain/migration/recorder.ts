import type { PassFigures } from '../ports/migration-session.ts';
import type { Schedule } from '../ports/process.ts';
import type { MigrationSample, Store } from '../ports/store.ts';
import type { MigrationFigures } from '../settings/declared-settings.ts';
import type { MigrationStatus } from './migration-status.ts';

/** Time between two samples of a new migration, in milliseconds. */
export const SAMPLE_INTERVAL_MS = 100;
/** Samples written in one transaction. */
const SAMPLES_PER_WRITE = 10;
/** After this many samples the time between two is doubled, which limits the size of a time line. */
const SAMPLES_PER_STRIDE = 6000;
/** Largest number of stored passes of one migration. */
const PASSES_MAX = 10_000;

type Recorded = {
  readonly id: string;
  readonly status: () => MigrationStatus;
  readonly figures: () => MigrationFigures | null;
  /** Called at every tick, with or without a sample. */
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

  /** Takes the last sample and writes all unwritten data. */
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

  /** A migration continues if its time line cannot be written. */
  #write(work: () => void): void {
    try {
      this.#store.transaction(work);
    } catch (error) {
      this.#of.report(error);
    }
  }
}
