import type { Job } from './job.ts';
import { clockText, oneLine, sizeText } from './printable.ts';
import { RateMeter } from './rate.ts';
import type { World } from './world.ts';

/* Progress of a job on standard error: a bar where a person looks, lines where a file or a CI log does. */

export type Progress = {
  report(job: Job): void;
  /** A sentence beside the progress. */
  note(text: string): void;
  /** Leaves the cursor at the start of an empty line. */
  end(): void;
};

export type ProgressOptions = {
  readonly style: 'bar' | 'lines' | 'none';
  /** What is done: `saving warm`. */
  readonly label: string;
  readonly world: World;
};

/** Between two lines of progress. */
export const LINE_MS_MIN = 1000;
const BAR_CELLS_MAX = 30;
const BAR_CELLS_MIN = 5;

export function createProgress(options: ProgressOptions): Progress {
  if (options.style === 'bar') return new Bar(options);
  return options.style === 'lines' ? new Lines(options) : new Silence(options.world);
}

/** Notes are no progress: they are said even then. */
class Silence implements Progress {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  report(): void {}

  note(text: string): void {
    this.#world.err(`vmferry: ${oneLine(text)}\n`);
  }

  end(): void {}
}

/** A line at most each second, and only if something changed. */
class Lines implements Progress {
  readonly #label: string;
  readonly #world: World;
  readonly #rate = new RateMeter();
  #last = '';
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor({ label, world }: ProgressOptions) {
    this.#label = oneLine(label);
    this.#world = world;
  }

  report(job: Job): void {
    const now = this.#world.clock.nowMs();
    this.#rate.add({ atMs: now, bytes: job.doneBytes });
    const state = `${job.status} ${job.doneBytes} ${job.totalBytes}`;
    // The end is told by the result.
    if (now < this.#nextMs || state === this.#last || job.isConcluded) return;
    this.#last = state;
    this.#nextMs = now + LINE_MS_MIN;
    this.#world.err(`${this.#label}: ${[job.status, ...figuresOf(job, this.#rate)].join(', ')}\n`);
  }

  note(text: string): void {
    this.#world.err(`${this.#label}: ${oneLine(text)}\n`);
  }

  end(): void {}
}

const CLEAR = '\r\u001b[K';

/** One line that is written over. */
class Bar implements Progress {
  readonly #label: string;
  readonly #world: World;
  readonly #rate = new RateMeter();
  #isShown = false;

  constructor({ label, world }: ProgressOptions) {
    this.#label = oneLine(label);
    this.#world = world;
  }

  report(job: Job): void {
    this.#rate.add({ atMs: this.#world.clock.nowMs(), bytes: job.doneBytes });
    if (job.isConcluded) return;
    // The last column stays free: some terminals wrap when it is written.
    const columns = (this.#world.columns() ?? 0) - 1;
    this.#world.err(`${CLEAR}${this.#line(job, columns)}`);
    this.#isShown = true;
  }

  note(text: string): void {
    this.end();
    this.#world.err(`${this.#label}: ${oneLine(text)}\n`);
  }

  end(): void {
    if (this.#isShown) this.#world.err(CLEAR);
    this.#isShown = false;
  }

  #line(job: Job, columns: number): string {
    const figures = figuresOf(job, this.#rate).join('  ');
    const text = `${this.#label}  ${job.status}`;
    const cells = Math.min(BAR_CELLS_MAX, columns - text.length - figures.length - '  []  '.length);
    const bar = cells < BAR_CELLS_MIN || figures === '' ? '' : `  [${barOf(job, cells)}]`;
    return `${text}${bar}  ${figures}`.trimEnd().slice(0, Math.max(columns, 0));
  }
}

function barOf(job: Job, cells: number): string {
  const full = Math.floor(fractionOf(job) * cells);
  return '#'.repeat(full) + '.'.repeat(cells - full);
}

function fractionOf({ doneBytes, totalBytes }: Job): number {
  return totalBytes > 0 ? Math.min(doneBytes / totalBytes, 1) : 0;
}

/** `42 %`, `112.0 MiB of 268.4 MiB`, `310.0 MiB/s`, `0:01 left`: what is known of it. */
function figuresOf(job: Job, meter: RateMeter): string[] {
  const { doneBytes, totalBytes } = job;
  if (totalBytes <= 0) return [];
  const percent = `${Math.floor(fractionOf(job) * 100)} %`;
  const rate = meter.bytesPerSecond();
  const figures = [percent, `${sizeText(doneBytes)} of ${sizeText(totalBytes)}`];
  if (rate === null || rate <= 0) return figures;
  const leftMs = (Math.max(totalBytes - doneBytes, 0) / rate) * 1000;
  return [...figures, `${sizeText(rate)}/s`, ...(doneBytes < totalBytes ? [`${clockText(leftMs)} left`] : [])];
}
