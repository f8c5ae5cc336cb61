import type { LiveParameters, MigrationFigures } from '../settings/declared-settings.ts';
import type { MigrationStatus } from './migration-status.ts';
import { PAGE_BYTES } from './query.ts';

export type Verdict = 'converging' | 'stalled' | 'hopeless';

/*
 * Whether a migration will complete. It completes when the dirty bytes can be sent within downtime-limit at the
 * measured bandwidth. The verdict depends on three figures: the dirty bytes of the last syncs (and whether they
 * shrink), the dirty rate of the guest compared with the bandwidth, and the expected downtime of a switchover now.
 */

export const VERDICTS = ['converging', 'stalled', 'hopeless'] as const satisfies readonly Verdict[];

/** The values from which a verdict is computed. */
export type VerdictFigures = {
  readonly status: MigrationStatus;
  readonly figures: MigrationFigures;
  readonly limits: LiveParameters;
  /** Dirty bytes found by the newest syncs, oldest first. */
  readonly dirtyBytesBySync: readonly number[];
  /** True if the guest is stopped only after the target has reported that it is ready (switchover-ack). */
  readonly needsAck: boolean;
};

export const NO_SENDER_YET = 'It waits for a sender.';
const WAITS_FOR_ACK = 'It waits for the target to say that it is ready (switchover-ack).';

export type ReasonedVerdict = { readonly verdict: Verdict; readonly reason: string };

/** Number of syncs that must agree on a verdict other than converging. */
const SYNCS_TO_JUDGE = 3;
/** Dirty bytes that stay above this share over those syncs count as not shrinking. */
const SHRINKING_SHARE = 0.9;
/** A guest that dirties this share of the bandwidth leaves no bandwidth for progress. */
const OVERWHELMING_SHARE = 0.9;

/** The verdict on a running outgoing migration; null if there is none. */
export function judge(judged: VerdictFigures): ReasonedVerdict | null {
  switch (judged.status) {
    case 'setup':
    case 'wait-unplug':
      return converging('The channel is being opened; nothing is measured yet.');
    case 'active':
      return judgeActive(judged);
    case 'pre-switchover':
      return converging('The guest is stopped and waits for migrate-continue.');
    case 'device':
      return converging('The guest is stopped; its last pages and its devices are being sent.');
    default:
      return null;
  }
}

function judgeActive(judged: VerdictFigures): ReasonedVerdict {
  const { figures, limits, dirtyBytesBySync } = judged;
  const { bandwidth, expectedDowntimeMs, dirtySyncCount } = figures;
  if (dirtySyncCount <= 1) return converging(`The first pass is under way${speed(bandwidth)}.`);
  const downtime = `a switchover now would take ${expectedDowntimeMs} ms of the ${limits['downtime-limit']} ms allowed`;
  if (expectedDowntimeMs <= limits['downtime-limit']) {
    return converging(`${capitalised(downtime)}.${waitsForAck(judged) ? ` ${WAITS_FOR_ACK}` : ''}`);
  }
  const recent = dirtyBytesBySync.slice(-SYNCS_TO_JUDGE);
  const [oldest, newest] = [recent[0] ?? 0, recent.at(-1) ?? 0];
  if (recent.length < SYNCS_TO_JUDGE) return converging(`Pass ${dirtySyncCount} is under way; ${downtime}.`);
  if (newest < oldest * SHRINKING_SHARE) {
    return converging(
      `What is dirty shrank from ${size(oldest)} to ${size(newest)} over ${recent.length} passes; ${downtime}.`,
    );
  }
  const dirtyRate = figures.dirtyPagesRate * PAGE_BYTES;
  const rates = `the guest dirties ${rate(dirtyRate)} and ${rate(bandwidth)} are sent`;
  const set = `${size(newest)} are found dirty after each pass and do not shrink`;
  if (dirtyRate >= bandwidth * OVERWHELMING_SHARE) {
    return {
      verdict: 'hopeless',
      reason: `${capitalised(rates)}; ${set}; ${downtime}. ${remedy(limits, figures)}`,
    };
  }
  return { verdict: 'stalled', reason: `${capitalised(set)}; ${rates}; ${downtime}. ${remedy(limits, figures)}` };
}

/**
 * True if the dirty bytes have fitted for several passes and no longer halve, so that the switchover can only be
 * waiting for switchover-ack.
 */
function waitsForAck({ status, needsAck, figures, limits, dirtyBytesBySync }: VerdictFigures): boolean {
  if (!needsAck || status !== 'active' || figures.expectedDowntimeMs > limits['downtime-limit']) return false;
  const recent = dirtyBytesBySync.slice(-SYNCS_TO_JUDGE);
  const fits = (bytes: number) => bytes * 1000 <= figures.bandwidth * limits['downtime-limit'];
  const [oldest = 0, newest = 0] = [recent[0], recent.at(-1)];
  return recent.length === SYNCS_TO_JUDGE && recent.every(fits) && newest * 2 >= oldest;
}

function remedy(limits: LiveParameters, { bandwidth }: MigrationFigures): string {
  const isCapped = limits['max-bandwidth'] > 0 && bandwidth >= limits['max-bandwidth'] * OVERWHELMING_SHARE;
  const cap = `raise max-bandwidth (now ${rate(limits['max-bandwidth'])}), `;
  return `More passes will not help: ${isCapped ? cap : ''}raise downtime-limit or make the guest do less.`;
}

/** Time to the end as a range, or the reason why it is unknown. All in milliseconds. */
export function timeToGo(
  judged: VerdictFigures,
  judgement: ReasonedVerdict | null,
): { readonly range: { readonly min: number; readonly max: number } } | { readonly why: string } {
  const { status, figures } = judged;
  if (judgement === null) return { why: `The migration is ${status}.` };
  if (status === 'setup' || status === 'wait-unplug') return { why: 'Nothing is measured yet.' };
  if (status === 'pre-switchover') return { why: 'It waits for migrate-continue.' };
  if (judgement.verdict !== 'converging') return { why: judgement.reason };
  if (waitsForAck(judged)) return { why: WAITS_FOR_ACK };
  const { bandwidth, remainingBytes, dirtyPagesRate } = figures;
  if (bandwidth === 0) return { why: 'The bandwidth is not measured yet.' };
  const min = Math.round((remainingBytes / bandwidth) * 1000);
  if (status === 'device') return { range: { min, max: Math.max(min, Math.round(figures.expectedDowntimeMs)) } };
  const spare = bandwidth - dirtyPagesRate * PAGE_BYTES;
  if (spare <= 0) return { why: 'The guest dirties memory as fast as it is sent.' };
  // Each pass leaves the bytes dirtied during it: a geometric series with the sum remaining / spare.
  const max = Math.round((remainingBytes / spare) * 1000) + figures.expectedDowntimeMs;
  return { range: { min, max: Math.max(min, max) } };
}

function converging(reason: string): ReasonedVerdict {
  return { verdict: 'converging', reason };
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The bandwidth. It is 0 before the first window of the measurement has ended. */
function speed(bandwidth: number): string {
  return bandwidth === 0 ? '; its speed is not measured yet' : ` at ${rate(bandwidth)}`;
}

function rate(bytesPerSecond: number): string {
  return `${(bytesPerSecond / 1e6).toFixed(1)} MB/s`;
}

/** Bytes as text for people. */
export function size(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
