import type { Context } from '../context.ts';
import type { MigrationInfo, MigrationStats } from '../domain.ts';
import type { MigrationFigures } from '../transfer-port.ts';
import type { CurrentMigration } from './current-migration.ts';
import type { MigrationStatus } from './status.ts';

/** Size of a guest page, in bytes: `page-size` of the answer. */
export const PAGE_BYTES = 4096;

/** query-migrate: which members are there depends on the state, as in QEMU 10.0. */
export function queryMigration(context: Context): MigrationInfo {
  const reasons = context.blockers.reasons();
  return {
    ...(reasons.length > 0 && { 'blocked-reasons': reasons }),
    ...(context.current !== null && describe(context, context.current)),
  };
}

function describe(context: Context, migration: CurrentMigration): MigrationInfo {
  const { status, error } = migration;
  const common = { status, ...(error !== null && { 'error-desc': error.message }) };
  if (migration.direction === 'incoming') {
    const addresses = context.reception?.socketAddress ?? null;
    return { ...common, ...(addresses !== null && { 'socket-address': addresses }) };
  }
  const figures = migration.figures();
  if (figures === null || !WITH_FIGURES.has(status)) return common;
  const isCompleted = status === 'completed';
  const throttle = figures.cpuThrottlePercentage;
  const held = isCompleted ? null : context.dirtyLimits.throttleFigures();
  return {
    ...common,
    'setup-time': figures.setupTimeMs,
    'total-time': figures.totalTimeMs,
    ...(WITH_DOWNTIME.has(status)
      ? { downtime: figures.downtimeMs }
      : { 'expected-downtime': figures.expectedDowntimeMs }),
    ram: ramStats(figures, isCompleted),
    ...(throttle > 0 && !isCompleted && { 'cpu-throttle-percentage': throttle }),
    ...(held !== null && {
      'dirty-limit-throttle-time-per-round': held.perRoundUs,
      'dirty-limit-ring-full-time': held.ringFullUs,
    }),
  };
}

const WITH_DOWNTIME: ReadonlySet<MigrationStatus> = new Set([
  'completed',
  'postcopy-active',
  'postcopy-paused',
  'postcopy-recover-setup',
  'postcopy-recover',
] as const);

const WITH_FIGURES: ReadonlySet<MigrationStatus> = new Set([
  'active',
  'cancelling',
  'pre-switchover',
  'device',
  ...WITH_DOWNTIME,
] as const);

function ramStats(figures: MigrationFigures, isCompleted: boolean): MigrationStats {
  return {
    transferred: figures.transferredBytes,
    remaining: isCompleted ? 0 : figures.remainingBytes,
    total: figures.totalBytes,
    duplicate: figures.duplicatePages,
    normal: figures.normalPages,
    'normal-bytes': figures.normalPages * PAGE_BYTES,
    'dirty-pages-rate': isCompleted ? 0 : figures.dirtyPagesRate,
    mbps: figures.mbps,
    'dirty-sync-count': figures.dirtySyncCount,
    'postcopy-requests': 0,
    'page-size': PAGE_BYTES,
    'multifd-bytes': 0,
    'pages-per-second': figures.pagesPerSecond,
    'precopy-bytes': figures.precopyBytes,
    'downtime-bytes': figures.downtimeBytes,
    'postcopy-bytes': 0,
    'dirty-sync-missed-zero-copy': 0,
  };
}
