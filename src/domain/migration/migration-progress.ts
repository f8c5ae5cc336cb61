import type { MigrationFigures } from '../settings/declared-settings.ts';
import type { Settings } from '../settings/settings.ts';
import type { CurrentMigration } from './current-migration.ts';
import type { MigrationStatus } from './migration-status.ts';
import { PAGE_BYTES } from './query.ts';
import { judge, NO_SENDER_YET, size, timeToGo, type Verdict, type VerdictFigures } from './verdict.ts';

/** Progress of a migration, for people and dashboards. Bytes, bytes/s and milliseconds. */
export type MigrationProgress = {
  readonly status: MigrationStatus;
  /** Share of RAM that the first pass has covered, in percent; never falls during a migration. */
  readonly 'first-pass-percent': number;
  readonly pass: number;
  /** Null when no migration runs. */
  readonly verdict: { readonly verdict: Verdict; readonly reason: string } | null;
  /** Bytes/s. */
  readonly rate: number;
  /** Bytes/s that the guest dirties, from the newest figures. */
  readonly 'dirty-rate': number;
  readonly remaining: number;
  readonly 'expected-downtime': number;
  readonly 'downtime-limit': number;
  /** Milliseconds; null: unknown, for the reason in `time-to-go-unknown`. */
  readonly 'time-to-go': { readonly min: number; readonly max: number } | null;
  readonly 'time-to-go-unknown': string | null;
};

const NO_FIGURES: Omit<MigrationProgress, 'status' | 'verdict' | 'downtime-limit' | 'time-to-go-unknown'> = {
  'first-pass-percent': 0,
  pass: 0,
  rate: 0,
  'dirty-rate': 0,
  remaining: 0,
  'expected-downtime': 0,
  'time-to-go': null,
};

/** The progress of the newest migration, for people and dashboards. */
export function progressOf(
  current: CurrentMigration | null,
  settings: Pick<Settings, 'live' | 'has'>,
): MigrationProgress {
  const limits = settings.live();
  const figures = current?.figures() ?? null;
  if (current === null || figures === null) {
    return {
      ...NO_FIGURES,
      status: current?.status ?? 'none',
      verdict: null,
      'downtime-limit': limits['downtime-limit'],
      'time-to-go-unknown': 'No migration runs.',
    };
  }
  if (current.direction === 'incoming') return incomingProgress(current, figures, limits['downtime-limit']);
  const judged: VerdictFigures = {
    status: current.status,
    figures,
    limits,
    dirtyBytesBySync: current.dirtyBytesBySync,
    needsAck: settings.has('switchover-ack'),
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
    'downtime-limit': limits['downtime-limit'],
    'time-to-go': 'range' in time ? time.range : null,
    'time-to-go-unknown': 'range' in time ? null : time.why,
  };
}

/** The figures of a target: the received bytes. Passes, rates and dirty bytes are known only to the source. */
function incomingProgress(
  current: CurrentMigration,
  figures: MigrationFigures,
  downtimeLimitMs: number,
): MigrationProgress {
  const { status } = current;
  return {
    ...NO_FIGURES,
    status,
    'first-pass-percent': firstPassPercent(current),
    verdict: null,
    rate: current.isEnded ? 0 : figures.bandwidth,
    remaining: status === 'completed' ? 0 : Math.max(0, figures.totalBytes - receivedBytes(figures)),
    'downtime-limit': downtimeLimitMs,
    'time-to-go-unknown': whyUnknownHere(current, figures),
  };
}

function whyUnknownHere({ status, isEnded }: CurrentMigration, figures: MigrationFigures): string {
  if (isEnded) return `The migration is ${status}.`;
  if (status === 'setup') return NO_SENDER_YET;
  const pages = figures.normalPages + figures.duplicatePages;
  const total = figures.totalBytes === 0 ? '' : ` of ${size(figures.totalBytes)} of RAM`;
  const received = `${size(figures.transferredBytes)} have come, with ${pages} pages (${size(receivedBytes(figures))}${total})`;
  return `${received}; only the source knows how much it will send again.`;
}

/** Received guest memory; a page that came twice counts twice. */
function receivedBytes({ normalPages, duplicatePages }: MigrationFigures): number {
  return (normalPages + duplicatePages) * PAGE_BYTES;
}

/** Share of RAM that the first pass has covered, in percent with one decimal; it never falls. */
export function firstPassPercent(migration: CurrentMigration): number {
  const figures = migration.figures();
  if (figures !== null) {
    const walked = migration.direction === 'incoming' ? receivedPercent : walkedPercent;
    const percent = migration.status === 'completed' ? 100 : walked(figures);
    migration.firstPassPercent = Math.max(migration.firstPassPercent, percent);
  }
  return migration.firstPassPercent;
}

function walkedPercent({ dirtySyncCount, totalBytes, remainingBytes }: MigrationFigures): number {
  if (dirtySyncCount > 1) return 100;
  if (dirtySyncCount === 0 || totalBytes === 0) return 0;
  return share(Math.max(0, totalBytes - remainingBytes), totalBytes);
}

function receivedPercent(figures: MigrationFigures): number {
  return figures.totalBytes === 0 ? 0 : share(receivedBytes(figures), figures.totalBytes);
}

/** In percent with one decimal, rounded down. */
function share(part: number, whole: number): number {
  return Math.min(100, Math.floor((part * 1000) / whole) / 10);
}
