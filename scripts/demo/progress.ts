/** The members of `GET /migrate/progress` that the demo shows. Sizes in bytes, times in milliseconds. */
export type Progress = {
  readonly status: string;
  readonly pass: number;
  readonly 'first-pass-percent': number;
  readonly verdict: { readonly verdict: string; readonly reason: string } | null;
  /** Bytes/s. */
  readonly rate: number;
  /** Bytes/s. */
  readonly 'dirty-rate': number;
  readonly remaining: number;
  readonly 'expected-downtime': number;
  readonly 'downtime-limit': number;
};

/** Column titles of {@link progressLine}. */
export const PROGRESS_HEADING = row(['time', 'pass', 'left', 'sent', 'dirtied', 'downtime', 'verdict']);

/** One line of at most 80 columns. `elapsedMs`: `total-time` of `GET /migrate`. */
export function progressLine(progress: Progress, elapsedMs: number): string {
  const { pass, verdict } = progress;
  return row([
    seconds(elapsedMs),
    pass > 1 ? String(pass) : `1 (${Math.floor(progress['first-pass-percent'])}%)`,
    mebibytes(progress.remaining),
    `${megabytes(progress.rate)}/s`,
    `${megabytes(progress['dirty-rate'])}/s`,
    `~${Math.round(progress['expected-downtime'])} of ${progress['downtime-limit']} ms`,
    verdict?.verdict ?? progress.status,
  ]);
}

function row(cells: readonly [string, string, string, string, string, string, string]): string {
  const [time, pass, left, sent, dirtied, downtime, verdict] = cells;
  const figures = [time.padStart(6), pass.padEnd(8), left.padStart(5), sent.padStart(9), dirtied.padStart(9)];
  return [...figures, downtime.padStart(15), verdict].join('  ');
}

export function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** Formats bytes in powers of ten, like bandwidths. */
export function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

/** Formats bytes in powers of two, like memory sizes. */
export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)}M`;
}
