import {
  FIGURE_CELLS,
  type FigureCell,
  FRACTION_CELLS,
  type MigrationFigures,
} from '../../domain/settings/declared-settings.ts';

/** Cells that are not figures: a count of changes, moments in shared microseconds, and a duration. */
const OTHER_CELLS = ['revision', 'startedUs', 'setupEndedUs', 'endedUs', 'stoppedUs', 'downtimeUs'] as const;
type CellName = (typeof OTHER_CELLS)[number] | FigureCell;
const NAMES: readonly CellName[] = [...OTHER_CELLS, ...FIGURE_CELLS];
const INDEX = Object.fromEntries(NAMES.map((name, index) => [name, index])) as Record<CellName, number>;

const FRACTIONS: ReadonlySet<CellName> = FRACTION_CELLS;
const THOUSANDTHS = 1000;

/** Microseconds of the monotonic clock, which all threads of the process share. */
export function sharedMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

/**
 * The figures of one migration in shared memory. The worker writes them; every thread reads them without a message. Each
 * cell is an atomic 64-bit integer; a fraction is kept in thousandths.
 */
export class FigureBlock {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(NAMES.length * 8)) {
    this.buffer = buffer;
    this.#cells = new BigInt64Array(buffer);
  }

  get(name: CellName): number {
    return Number(Atomics.load(this.#cells, INDEX[name])) / scaleOf(name);
  }

  set(name: CellName, value: number): void {
    Atomics.store(this.#cells, INDEX[name], BigInt(Math.round(value * scaleOf(name))));
  }

  add(name: CellName, amount: number): void {
    Atomics.add(this.#cells, INDEX[name], BigInt(Math.round(amount * scaleOf(name))));
  }

  /** Counts a visible change. */
  touch(): void {
    this.add('revision', 1);
  }

  /** Sets the end of the migration at the first call, and resets the throttle figure. */
  end(): void {
    if (this.get('endedUs') === 0) this.set('endedUs', sharedMicroseconds());
    this.set('cpuThrottlePercentage', 0);
    this.touch();
  }

  /** A copy for the domain; times in whole milliseconds. */
  read(): MigrationFigures {
    const started = this.get('startedUs');
    const until = this.get('endedUs') || sharedMicroseconds();
    const milliseconds = (from: number, to: number) => Math.max(0, Math.round((to - from) / 1000));
    const times = {
      revision: this.get('revision'),
      setupTimeMs: this.get('setupEndedUs') === 0 ? 0 : milliseconds(started, this.get('setupEndedUs')),
      totalTimeMs: started === 0 ? 0 : milliseconds(started, until),
      downtimeMs: Math.round(this.get('downtimeUs') / 1000),
    };
    const figures = FIGURE_CELLS.map((name) => [name, this.get(name)] as const);
    return { ...times, ...(Object.fromEntries(figures) as Record<FigureCell, number>) };
  }
}

function scaleOf(name: CellName): number {
  return FRACTIONS.has(name) ? THOUSANDTHS : 1;
}
