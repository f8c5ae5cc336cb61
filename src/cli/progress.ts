import { oneLine } from './printable.ts';
import type { World } from './world.ts';

/* Progress on standard error: a bar where a person looks, lines where a file or a CI log does. */

/** Work as it is shown. */
export type Shown = {
  /** A new line is written only if this is new too. */
  readonly state: string;
  readonly status: string;
  /** Part of it that is done, from 0 to 1; null: not known, so there is no bar. */
  readonly fraction: number | null;
  readonly figures: readonly string[];
  /** The end is told by the result. */
  readonly isOver: boolean;
};

export type Progress = {
  show(shown: Shown): void;
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

/** How progress is shown to whoever reads standard error. */
export function progressStyle(world: World, quiet: boolean): ProgressOptions['style'] {
  if (quiet) return 'none';
  return world.columns() !== null && world.environment.terminal !== 'dumb' ? 'bar' : 'lines';
}

/** Notes are no progress: they are said even then. */
class Silence implements Progress {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  show(): void {}

  note(text: string): void {
    this.#world.err(`vmferry: ${oneLine(text)}\n`);
  }

  end(): void {}
}

/** A line at most each second, and only if something changed. */
class Lines implements Progress {
  readonly #label: string;
  readonly #world: World;
  #last = '';
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor({ label, world }: ProgressOptions) {
    this.#label = oneLine(label);
    this.#world = world;
  }

  show({ state, status, figures, isOver }: Shown): void {
    const now = this.#world.clock.nowMs();
    if (now < this.#nextMs || state === this.#last || isOver) return;
    this.#last = state;
    this.#nextMs = now + LINE_MS_MIN;
    this.#world.err(`${this.#label}: ${[status, ...figures].join(', ')}\n`);
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
  #isShown = false;

  constructor({ label, world }: ProgressOptions) {
    this.#label = oneLine(label);
    this.#world = world;
  }

  show(shown: Shown): void {
    if (shown.isOver) return;
    // The last column stays free: some terminals wrap when it is written.
    const columns = (this.#world.columns() ?? 0) - 1;
    this.#world.err(`${CLEAR}${this.#line(shown, columns)}`);
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

  #line({ status, fraction, figures: list }: Shown, columns: number): string {
    const figures = list.join('  ');
    const text = `${this.#label}  ${status}`;
    const cells = Math.min(BAR_CELLS_MAX, columns - text.length - figures.length - '  []  '.length);
    const bar = cells < BAR_CELLS_MIN || fraction === null ? '' : `  [${barOf(fraction, cells)}]`;
    return `${text}${bar}  ${figures}`.trimEnd().slice(0, Math.max(columns, 0));
  }
}

function barOf(fraction: number, cells: number): string {
  const full = Math.floor(fraction * cells);
  return '#'.repeat(full) + '.'.repeat(cells - full);
}
