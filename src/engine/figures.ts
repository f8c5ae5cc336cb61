import type { MigrationFigures } from '../domain/transfer-port.ts';

/**
 * Figures of one migration in shared memory: the worker writes, anyone reads, nobody asks. Every figure is an atomic
 * 64-bit integer; fractions are kept in thousandths.
 */
const NAMES = [
  'revision',
  'startedUs',
  'setupEndedUs',
  'endedUs',
  'stoppedUs',
  'downtimeUs',
  'expectedDowntimeMs',
  'transferredBytes',
  'remainingBytes',
  'totalBytes',
  'duplicatePages',
  'normalPages',
  'dirtyPagesRate',
  'mbpsThousandths',
  'pagesPerSecond',
  'dirtySyncCount',
  'precopyBytes',
  'downtimeBytes',
  'cpuThrottlePercentage',
  'bandwidth',
  'dirtyBytesAtSync',
  'heartbeat',
  /** Of the worker, in the operating system's count; 0: not known. */
  'threadId',
] as const;
type FigureName = (typeof NAMES)[number];
const INDEX = Object.fromEntries(NAMES.map((name, index) => [name, index])) as Record<FigureName, number>;

/** Microseconds of the monotonic clock, which all threads of the process share. */
export function sharedMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

export class FigureBlock {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(NAMES.length * 8)) {
    this.buffer = buffer;
    this.#cells = new BigInt64Array(buffer);
  }

  get(name: FigureName): number {
    return Number(Atomics.load(this.#cells, INDEX[name]));
  }

  set(name: FigureName, value: number): void {
    Atomics.store(this.#cells, INDEX[name], BigInt(Math.round(value)));
  }

  add(name: FigureName, amount: number): void {
    Atomics.add(this.#cells, INDEX[name], BigInt(amount));
  }

  /** Says that something visible changed. */
  touch(): void {
    this.add('revision', 1);
  }

  /** Marks the migration's end, once. */
  end(): void {
    if (this.get('endedUs') === 0) this.set('endedUs', sharedMicroseconds());
    this.touch();
  }

  /** A copy for the domain; times in whole milliseconds. */
  read(): MigrationFigures {
    const started = this.get('startedUs');
    const until = this.get('endedUs') || sharedMicroseconds();
    const milliseconds = (from: number, to: number) => Math.max(0, Math.round((to - from) / 1000));
    return {
      revision: this.get('revision'),
      setupTimeMs: this.get('setupEndedUs') === 0 ? 0 : milliseconds(started, this.get('setupEndedUs')),
      totalTimeMs: started === 0 ? 0 : milliseconds(started, until),
      downtimeMs: Math.round(this.get('downtimeUs') / 1000),
      expectedDowntimeMs: this.get('expectedDowntimeMs'),
      transferredBytes: this.get('transferredBytes'),
      remainingBytes: this.get('remainingBytes'),
      totalBytes: this.get('totalBytes'),
      duplicatePages: this.get('duplicatePages'),
      normalPages: this.get('normalPages'),
      dirtyPagesRate: this.get('dirtyPagesRate'),
      mbps: this.get('mbpsThousandths') / 1000,
      pagesPerSecond: this.get('pagesPerSecond'),
      dirtySyncCount: this.get('dirtySyncCount'),
      precopyBytes: this.get('precopyBytes'),
      downtimeBytes: this.get('downtimeBytes'),
      cpuThrottlePercentage: this.get('cpuThrottlePercentage'),
      bandwidth: this.get('bandwidth'),
      dirtyBytesAtSync: this.get('dirtyBytesAtSync'),
    };
  }
}
