import type { Context } from '../context.ts';
import type { MigrationProgress } from '../domain.ts';
import type { MigrationFigures } from '../transfer-port.ts';
import type { CurrentMigration } from './current-migration.ts';
import { PAGE_BYTES } from './query.ts';
import { type Judged, judge, timeToGo } from './verdict.ts';

const NO_FIGURES: Omit<MigrationProgress, 'status' | 'verdict' | 'downtime-limit' | 'time-to-go-unknown'> = {
  'first-pass-percent': 0,
  pass: 0,
  rate: 0,
  'dirty-rate': 0,
  remaining: 0,
  'expected-downtime': 0,
  'time-to-go': null,
};

/** How the migration gets on, for people and dashboards. */
export function progressOf(context: Context): MigrationProgress {
  const limits = context.settings.live();
  const { current } = context;
  const figures = current?.figures() ?? null;
  if (current === null || figures === null) {
    return {
      ...NO_FIGURES,
      status: current?.status ?? 'none',
      verdict: null,
      'downtime-limit': limits.downtimeLimitMs,
      'time-to-go-unknown': 'No migration runs.',
    };
  }
  const judged: Judged = {
    direction: current.direction,
    status: current.status,
    figures,
    limits,
    dirtyBytesBySync: current.dirtyBytesBySync,
  };
  const verdict = judge(judged);
  const time = timeToGo(judged, verdict);
  return {
    status: current.status,
    'first-pass-percent': firstPassPercent(current),
    pass: figures.dirtySyncCount,
    verdict,
    rate: figures.bandwidth,
    'dirty-rate': figures.dirtyPagesRate * PAGE_BYTES,
    remaining: current.status === 'completed' ? 0 : figures.remainingBytes,
    'expected-downtime': figures.expectedDowntimeMs,
    'downtime-limit': limits.downtimeLimitMs,
    'time-to-go': 'range' in time ? time.range : null,
    'time-to-go-unknown': 'range' in time ? null : time.why,
  };
}

/** Share of RAM walked once, in percent with one decimal; what was shown once is never taken back. */
export function firstPassPercent(migration: CurrentMigration): number {
  const figures = migration.figures();
  if (figures !== null) {
    const percent = migration.status === 'completed' ? 100 : walkedPercent(figures);
    migration.firstPassPercent = Math.max(migration.firstPassPercent, percent);
  }
  return migration.firstPassPercent;
}

function walkedPercent({ dirtySyncCount, totalBytes, remainingBytes }: MigrationFigures): number {
  if (dirtySyncCount > 1) return 100;
  if (dirtySyncCount === 0 || totalBytes === 0) return 0;
  const walked = Math.max(0, totalBytes - remainingBytes);
  return Math.min(100, Math.floor((walked * 1000) / totalBytes) / 10);
}
