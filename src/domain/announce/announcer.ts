import type { Page } from '../cursor.ts';
import { DomainError } from '../errors.ts';
import type { Clock, Schedule } from '../ports/process.ts';

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

/** Announcements by command under way at a time, each under a name of its own. */
export const ANNOUNCEMENTS_MAX = 64;
/** Newest announcements that are kept. */
export const ANNOUNCEMENTS_KEPT = 1000;
/** Rounds of one that are written down and logged one by one: as many as the parameter announce-rounds allows. */
export const ROUNDS_KEPT = 1000;

export type AnnouncerOptions = {
  readonly store: { readonly announcements: AnnouncementRepository; transaction<T>(work: () => T): T };
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** As the announce-* parameters have them now. */
  readonly parameters: () => AnnounceSchedule;
  readonly note: (message: string, details: Readonly<Record<string, unknown>>) => void;
  readonly report: (error: unknown) => void;
};

type Whose = Pick<AnnouncementRow, 'name' | 'migrationId' | 'interfaces'>;

/** One under way. */
type Running = {
  readonly id: number;
  readonly schedule: AnnounceSchedule;
  readonly rounds: number;
  made: number;
  callOff: () => void;
};

const NUMBER = /^[1-9]\d{0,14}$/;

/** Said of each round, so that nobody waits for a frame: neither the synthetic guest nor an image has an interface. */
const NO_FRAME = 'no frame was sent: the machine has no network interface';

/**
 * Self-announcements: rounds at the times of a schedule, the first at once, each written down and logged. A name has at
 * most one under way; the one that migrations make has none, and so is not touched by any command.
 */
export class Announcer implements AnnounceUseCases {
  readonly #options: AnnouncerOptions;
  readonly #running = new Map<string | null, Running>();

  /** Closes what an earlier process left open. */
  constructor(options: AnnouncerOptions) {
    this.#options = options;
    options.store.announcements.closeOpen();
  }

  announce({ interfaces, id: name = '', ...schedule }: AnnounceRequest): AnnouncementRecord {
    if (!this.#running.has(name) && this.#running.size >= ANNOUNCEMENTS_MAX) {
      const detail = `${ANNOUNCEMENTS_MAX} announcements are under way, the most there may be; use one of their ids.`;
      throw new DomainError('too_many_announcements', detail);
    }
    return this.get(String(this.#begin(schedule, { name, migrationId: null, interfaces: interfaces ?? null })));
  }

  /** The guest of an incoming migration is here. Whatever goes wrong hinders it from nothing. */
  afterMigration(migrationId: string): void {
    try {
      this.#begin(this.#options.parameters(), { name: null, migrationId, interfaces: null });
    } catch (error) {
      this.#options.report(error);
    }
  }

  get(id: string): AnnouncementRecord {
    const record = NUMBER.test(id) ? this.#options.store.announcements.get(Number(id)) : null;
    if (record === null) throw new DomainError('announcement_not_found', `There is no announcement '${id}'.`);
    return record;
  }

  list(query: { readonly limit: number; readonly cursor: string | null }): Page<AnnouncementRow> {
    return this.#options.store.announcements.list(query);
  }

  schedule(): AnnounceSchedule {
    return this.#options.parameters();
  }

  /** Nothing more is due afterwards. */
  close(): void {
    for (const name of [...this.#running.keys()]) this.#end(name, 'stopped');
  }

  #begin(schedule: AnnounceSchedule, whose: Whose): number {
    const { store, clock, note } = this.#options;
    const rounds = roundsOf(schedule);
    // Whoever is replaced ends with the beginning of this one, or goes on if that cannot be kept.
    const id = store.transaction(() => {
      this.#keepEnd(whose.name, 'replaced');
      const fresh = store.announcements.add({ ...whose, schedule, startedAt: clock.now() });
      if (rounds > 0) store.announcements.addRound(fresh, { round: 1, at: clock.now() });
      store.announcements.prune(ANNOUNCEMENTS_KEPT);
      return fresh;
    });
    this.#forget(whose.name);
    const running: Running = { id, schedule, rounds, made: Math.min(rounds, 1), callOff: () => {} };
    this.#running.set(whose.name, running);
    note('an announcement of the guest begins', { announcement: id, ...whose, ...shown(schedule) });
    if (rounds > 0) this.#noteRound(running);
    this.#goOn(whose.name, running);
    return id;
  }

  #goOn(name: string | null, running: Running): void {
    if (running.made >= running.rounds) {
      this.#end(name, 'completed');
      return;
    }
    const delayMs = delayAfter(running.made, running.schedule);
    running.callOff = this.#options.schedule(() => this.#nextRound(name, running), delayMs, { isBackground: true });
  }

  #nextRound(name: string | null, running: Running): void {
    running.made += 1;
    if (running.made <= ROUNDS_KEPT) {
      this.#attempt(() => {
        const { store, clock } = this.#options;
        store.announcements.addRound(running.id, { round: running.made, at: clock.now() });
      });
      this.#noteRound(running);
    }
    this.#goOn(name, running);
  }

  #noteRound({ id, made }: Running): void {
    this.#options.note(`the guest was announced; ${NO_FRAME}`, { announcement: id, round: made });
  }

  #end(name: string | null, outcome: AnnouncementOutcome): void {
    const running = this.#running.get(name);
    if (running === undefined) return;
    this.#attempt(() => this.#keepEnd(name, outcome));
    this.#forget(name);
    const { id, made } = running;
    this.#options.note('an announcement of the guest has ended', { announcement: id, outcome, rounds: made });
  }

  #keepEnd(name: string | null, outcome: AnnouncementOutcome): void {
    const running = this.#running.get(name);
    if (running === undefined) return;
    const { store, clock } = this.#options;
    store.announcements.end(running.id, { outcome, roundsMade: running.made, endedAt: clock.now() });
  }

  #forget(name: string | null): void {
    this.#running.get(name)?.callOff();
    this.#running.delete(name);
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.report(error);
    }
  }
}

/** A log line has no 64-bit integers. */
function shown(schedule: AnnounceSchedule): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(schedule).map(([part, value]) => [part, String(value)]));
}

/** So that an endless schedule without delays leaves time for everything else. */
const DELAY_MS_MIN = 1n;
/** What a timer takes: some 24 days. */
const DELAY_MS_MAX = 2n ** 31n - 1n;

/** Milliseconds from round `made` to the one behind it. */
export function delayAfter(made: number, { initial, step, max }: AnnounceSchedule): number {
  const delay = BigInt(initial) + BigInt(made - 1) * BigInt(step);
  const capped = delay < 0n || delay > BigInt(max) ? BigInt(max) : delay;
  if (capped < DELAY_MS_MIN) return Number(DELAY_MS_MIN);
  return Number(capped > DELAY_MS_MAX ? DELAY_MS_MAX : capped);
}

/** Rounds in all, as QEMU counts them; infinity for a negative number, which its count never comes to. */
export function roundsOf({ rounds }: AnnounceSchedule): number {
  const counted = Number(BigInt.asIntN(32, BigInt(rounds)));
  return counted < 0 ? Number.POSITIVE_INFINITY : counted;
}
