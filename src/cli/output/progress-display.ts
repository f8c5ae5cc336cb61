import type { CommandIo } from '../command-io.ts';
import { oneLine } from './plain-text.ts';

/* Progress on standard error: a bar on a terminal, lines in a file or a CI log. */

/** A figure of the work: `64 %`. */
export type Figure = {
  readonly text: string;
  /** On a narrow terminal the figures of the highest rank are left out first; figures of rank 0 always stay. */
  readonly rank: number;
};

/** State of the work to be displayed. */
export type Shown = {
  /** A line is written only if this text differs from the one before. */
  readonly state: string;
  readonly status: string;
  /** Fraction that is done, from 0 to 1; null: not known, and no bar is drawn. */
  readonly fraction: number | null;
  readonly figures: readonly Figure[];
  /** True of ended work, which is not displayed: the result follows. */
  readonly isOver: boolean;
};

export type Progress = {
  show(shown: Shown): void;
  /** Writes a sentence on a line of its own. */
  note(text: string): void;
  /** Removes the bar. */
  end(): void;
};

export type ProgressOptions = {
  readonly style: 'bar' | 'lines' | 'none';
  /** Description of the work: `saving warm`. */
  readonly label: string;
  readonly io: CommandIo;
};

/** Minimum time between two lines of progress, in milliseconds. */
export const LINE_MS_MIN = 1000;
const BAR_CELLS_MAX = 30;
const BAR_CELLS_MIN = 5;
const LABEL_CHARACTERS_MIN = 8;
/** Space between the parts of the line, and the frame of the bar. */
const GAP = '  ';
const BAR_FRAME = `${GAP}[]`;

export function createProgress(options: ProgressOptions): Progress {
  if (options.style === 'bar') return new Bar(options);
  return options.style === 'lines' ? new Lines(options) : new Silence(options.io);
}

/** Style for the output at standard error. */
export function progressStyle(io: CommandIo, quiet: boolean): ProgressOptions['style'] {
  if (quiet) return 'none';
  return io.columns() !== null && io.environment.terminal !== 'dumb' ? 'bar' : 'lines';
}

/** Displays no progress, only notes. */
class Silence implements Progress {
  readonly #io: CommandIo;

  constructor(io: CommandIo) {
    this.#io = io;
  }

  show(): void {}

  note(text: string): void {
    this.#io.err(`vmferry: ${oneLine(text)}\n`);
  }

  end(): void {}
}

/** Writes at most one line in a second, and only if the state has changed. */
class Lines implements Progress {
  readonly #label: string;
  readonly #io: CommandIo;
  #last = '';
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor({ label, io }: ProgressOptions) {
    this.#label = oneLine(label);
    this.#io = io;
  }

  show({ state, status, figures, isOver }: Shown): void {
    const now = this.#io.clock.nowMs();
    if (now < this.#nextMs || state === this.#last || isOver) return;
    this.#last = state;
    this.#nextMs = now + LINE_MS_MIN;
    this.#io.err(`${this.#label}: ${[status, ...figures.map(({ text }) => text)].join(', ')}\n`);
  }

  note(text: string): void {
    this.#io.err(`${this.#label}: ${oneLine(text)}\n`);
  }

  end(): void {}
}

const CLEAR = '\r\u001b[K';

/** Overwrites one line of the terminal. */
class Bar implements Progress {
  readonly #label: string;
  readonly #io: CommandIo;
  #isShown = false;

  constructor({ label, io }: ProgressOptions) {
    this.#label = oneLine(label);
    this.#io = io;
  }

  show(shown: Shown): void {
    if (shown.isOver) return;
    // The last column stays empty: some terminals wrap the line when it is written.
    const columns = (this.#io.columns() ?? 0) - 1;
    this.#io.err(`${CLEAR}${this.#line(shown, columns)}`);
    this.#isShown = true;
  }

  note(text: string): void {
    this.end();
    this.#io.err(`${this.#label}: ${oneLine(text)}\n`);
  }

  end(): void {
    if (this.#isShown) this.#io.err(CLEAR);
    this.#isShown = false;
  }

  /**
   * The line for the given width. The status, the bar and the figures of rank 0 are always on it; the rest of the width is
   * for the label, which may be shortened, and the other figures by their rank.
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

/** Width of figures with the gaps before them, in characters. */
function widthOf(figures: readonly Figure[]): number {
  return figures.reduce((sum, { text }) => sum + GAP.length + text.length, 0);
}

/** The figures that fit into the width; figures of rank 0 in any case. */
function fitting(figures: readonly Figure[], width: number): readonly Figure[] {
  const rank = Math.max(0, ...figures.map((figure) => figure.rank));
  if (rank === 0 || widthOf(figures) <= width) return figures;
  return fitting(
    figures.filter((figure) => figure.rank < rank),
    width,
  );
}

/** The text, cut to the width. */
function shortened(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

function barOf(fraction: number, cells: number): string {
  const full = Math.floor(fraction * cells);
  return '#'.repeat(full) + '.'.repeat(cells - full);
}
