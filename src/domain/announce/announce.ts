import type { Page } from '../cursor.ts';

/* Self-announcements as every door and the store see them. */

/**
 * When rounds are due, in milliseconds. Any 64-bit integer is taken, as by QEMU, whose command does not hold them to the
 * bounds of the announce-* parameters.
 */
export type AnnounceSchedule = {
  /** From the first round, which is made at once, to the second. */
  readonly initial: number | bigint;
  /** The longest delay; one that comes out negative is this long too. */
  readonly max: number | bigint;
  /** Rounds in all; 0 makes none, a negative number goes on until it is replaced or stopped. Counts in 32 bits. */
  readonly rounds: number | bigint;
  /** What each delay is longer than the one before. */
  readonly step: number | bigint;
};

export const ANNOUNCEMENT_OUTCOMES = ['running', 'completed', 'replaced', 'stopped', 'unknown'] as const;

/**
 * - running: rounds are due.
 * - completed: all were made.
 * - replaced: another of the same name began before that.
 * - stopped: the service ended before that.
 * - unknown: the process died before that.
 */
export type AnnouncementOutcome = (typeof ANNOUNCEMENT_OUTCOMES)[number];

/** A row of the history; times are wall clock milliseconds since 1970. */
export type AnnouncementRow = {
  readonly id: number;
  /** The command's `id`, empty where none was given; null for the one that an incoming migration makes. */
  readonly name: string | null;
  readonly migrationId: string | null;
  /** Names of the interfaces that it is for; null: all. */
  readonly interfaces: readonly string[] | null;
  readonly schedule: AnnounceSchedule;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly outcome: AnnouncementOutcome;
  readonly roundsMade: number;
};

export type AnnouncementRecord = AnnouncementRow & {
  /** The first ROUNDS_KEPT of them. */
  readonly rounds: readonly { readonly round: number; readonly at: number }[];
};

export type AnnounceRequest = AnnounceSchedule & {
  readonly interfaces?: readonly string[];
  readonly id?: string;
};

export interface AnnounceUseCases {
  /** Makes the first round and arranges the others; one of the same name that is under way is replaced. */
  announce(request: AnnounceRequest): AnnouncementRecord;
  /** By the text of its number. */
  get(id: string): AnnouncementRecord;
  /** Newest first. */
  list(query: { readonly limit: number; readonly cursor: string | null }): Page<AnnouncementRow>;
  /** What the announce-* parameters say. */
  schedule(): AnnounceSchedule;
}

export interface AnnouncementRepository {
  /** @returns the id of the new row, which has no rounds yet. */
  add(row: Omit<AnnouncementRow, 'id' | 'endedAt' | 'outcome' | 'roundsMade'>): number;
  addRound(id: number, entry: AnnouncementRecord['rounds'][number]): void;
  end(id: number, end: Pick<AnnouncementRow, 'outcome' | 'roundsMade'> & { readonly endedAt: number }): void;
  /** Rows that an earlier process did not see the end of become `unknown`. */
  closeOpen(): void;
  get(id: number): AnnouncementRecord | null;
  list(query: { readonly limit: number; readonly cursor: string | null }): Page<AnnouncementRow>;
  /** Removes all but the newest `keep` of those that have ended. */
  prune(keep: number): void;
}
