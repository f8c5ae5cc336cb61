import type { World } from '../world.ts';
import { oneLine } from './plain-text.ts';

/* Progress on standard error: a bar where a person looks, lines where a file or a CI log does. */

/** What is known of the work: `64 %`. */
export type Figure = {
  readonly text: string;
  /** Where there is no room, the figures of the highest rank are left out first, and those of rank 0 never. */
  readonly rank: number;
};

/** Work as it is shown. */
export type Shown = {
  /** A new line is written only if this is new too. */
  readonly state: string;
  readonly status: string;
  /** Part of it that is done, from 0 to 1; null: not known, so there is no bar. */
  readonly fraction: number | null;
  readonly figures: readonly Figure[];
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
const LABEL_CHARACTERS_MIN = 8;
/** What stands between the parts of the line and around the bar. */
const GAP = '  ';
const BAR_FRAME = `${GAP}[]`;

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
    this.#world.err(`${this.#label}: ${[status, ...figures.map(({ text }) => text)].join(', ')}\n`);
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

  /**
   * The status, the bar and the figures of rank 0 have room first; then come the label, shortened if it is long, and the
   * other figures by their rank.
   */
  #line({ status, fraction, figures }: Shown, columns: number): string {
    const bar = fraction === null ? 0 : BAR_FRAME.length + BAR_CELLS_MIN;
    const room = columns - GAP.length - status.length - bar;
    const full = this.#label.length;
    const isLong = full + widthOf(figures) > room;
    const labelMax = isLong ? Math.min(full, Math.max(Math.floor(columns / 3), LABEL_CHARACTERS_MIN)) : full;
    const kept = fitting(figures, room - labelMax);
    const label = shortened(this.#label, Math.min(full, Math.max(room - widthOf(kept), LABEL_CHARACTERS_MIN)));
    const text = `${label}${GAP}${status}`;
    const cells = Math.min(BAR_CELLS_MAX, columns - text.length - widthOf(kept) - BAR_FRAME.length);
    const drawn = cells < BAR_CELLS_MIN || fraction === null ? '' : `${GAP}[${barOf(fraction, cells)}]`;
    const rest = kept.map((figure) => `${GAP}${figure.text}`).join('');
    return `${text}${drawn}${rest}`.slice(0, Math.max(columns, 0));
  }
}

/** Characters that figures take with the gaps before them. */
function widthOf(figures: readonly Figure[]): number {
  return figures.reduce((sum, { text }) => sum + GAP.length + text.length, 0);
}

/** The figures for which there is room, those of rank 0 in any case. */
function fitting(figures: readonly Figure[], width: number): readonly Figure[] {
  const rank = Math.max(0, ...figures.map((figure) => figure.rank));
  if (rank === 0 || widthOf(figures) <= width) return figures;
  return fitting(
    figures.filter((figure) => figure.rank < rank),
    width,
  );
}

/** The text, or as much of its beginning as there is room for. */
function shortened(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

function barOf(fraction: number, cells: number): string {
  const full = Math.floor(fraction * cells);
  return '#'.repeat(full) + '.'.repeat(cells - full);
}
