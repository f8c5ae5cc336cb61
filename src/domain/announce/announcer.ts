import type { Page } from '../cursor.ts';
import { DomainError } from '../errors.ts';
import type { Clock, Schedule } from '../ports/process.ts';

/* Self-announcements, in the form that every client interface and the store use. */

/**
 * Times of the rounds, in milliseconds. Every 64-bit integer is allowed, as in QEMU: the command does not check the
 * ranges of the announce-* parameters.
 */
export type AnnounceSchedule = {
  /** Delay from the first round, which is made immediately, to the second. */
  readonly initial: number | bigint;
  /** Longest delay. It also replaces a computed delay that is negative. */
  readonly max: number | bigint;
  /** Number of rounds, cut to 32 bits. 0: none. Negative: until the announcement is replaced or stopped. */
  readonly rounds: number | bigint;
  /** Difference between one delay and the next. */
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
  /** `id` of the command, empty if it had none; null: made by an incoming migration. */
  readonly name: string | null;
  readonly migrationId: string | null;
  /** Names of the interfaces to announce; null: all. */
  readonly interfaces: readonly string[] | null;
  readonly schedule: AnnounceSchedule;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly outcome: AnnouncementOutcome;
  readonly roundsMade: number;
};

export type AnnouncementRecord = AnnouncementRow & {
  /** The first ROUNDS_KEPT rounds. */
  readonly rounds: readonly { readonly round: number; readonly at: number }[];
};

export type AnnounceRequest = AnnounceSchedule & {
  readonly interfaces?: readonly string[];
  readonly id?: string;
};

export interface AnnounceUseCases {
  /** Makes the first round and schedules the others. Replaces a running announcement of the same name. */
  announce(request: AnnounceRequest): AnnouncementRecord;
  /** @param id the decimal number of the announcement. @throws DomainError announcement_not_found */
  get(id: string): AnnouncementRecord;
  /** Newest first. */
  list(query: { readonly limit: number; readonly cursor: string | null }): Page<AnnouncementRow>;
  /** The schedule of the announce-* parameters. */
  schedule(): AnnounceSchedule;
}

export interface AnnouncementRepository {
  /** @returns the id of the new row, which has no rounds yet. */
  add(row: Omit<AnnouncementRow, 'id' | 'endedAt' | 'outcome' | 'roundsMade'>): number;
  addRound(id: number, entry: AnnouncementRecord['rounds'][number]): void;
  end(id: number, end: Pick<AnnouncementRow, 'outcome' | 'roundsMade'> & { readonly endedAt: number }): void;
  /** Sets unfinished rows of earlier processes to `unknown`. */
  closeOpen(): void;
  get(id: number): AnnouncementRecord | null;
  list(query: { readonly limit: number; readonly cursor: string | null }): Page<AnnouncementRow>;
  /** Removes ended announcements except the newest `keep`. */
  prune(keep: number): void;
}

/** Largest number of running announcements: a command that would exceed it is refused. */
export const ANNOUNCEMENTS_MAX = 64;
/** Number of ended announcements that are kept: the newest ones. */
export const ANNOUNCEMENTS_KEPT = 1000;
/** Rounds of one announcement that are stored and logged: the maximum of announce-rounds. */
export const ROUNDS_KEPT = 1000;

export type AnnouncerOptions = {
  readonly store: { readonly announcements: AnnouncementRepository; transaction<T>(work: () => T): T };
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** The current values of the announce-* parameters. */
  readonly parameters: () => AnnounceSchedule;
  readonly note: (message: string, details: Readonly<Record<string, unknown>>) => void;
  readonly report: (error: unknown) => void;
};

type Whose = Pick<AnnouncementRow, 'name' | 'migrationId' | 'interfaces'>;

/** A running announcement. */
type Running = {
  readonly id: number;
  readonly schedule: AnnounceSchedule;
  readonly rounds: number;
  made: number;
  callOff: () => void;
};

const NUMBER = /^[1-9]\d{0,14}$/;

/** In each round's log line: no machine has a network interface, so no frame is sent. */
const NO_FRAME = 'no frame was sent: the machine has no network interface';

/**
 * Self-announcements: rounds at the times of a schedule, the first immediately, each stored and logged. At most one
 * announcement of a name runs. Those of migrations have no name, so no command replaces them.
 */
export class Announcer implements AnnounceUseCases {
  readonly #options: AnnouncerOptions;
  readonly #running = new Map<string | null, Running>();

  /** Sets unfinished announcements of earlier processes to `unknown`. */
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

  /** Announces a guest that has arrived. Errors are only reported, so they do not affect the guest. */
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

  /** Ends all announcements with the outcome `stopped`. */
  close(): void {
    for (const name of [...this.#running.keys()]) this.#end(name, 'stopped');
  }

  #begin(schedule: AnnounceSchedule, whose: Whose): number {
    const { store, clock, note } = this.#options;
    const rounds = roundsOf(schedule);
    // One transaction ends the replaced announcement and stores this one. If it fails, the earlier one continues.
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

/** Log lines cannot hold 64-bit integers. */
function shown(schedule: AnnounceSchedule): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(schedule).map(([part, value]) => [part, String(value)]));
}

/** Shortest delay, ms: an endless schedule must leave time for other work. */
const DELAY_MS_MIN = 1n;
/** Longest delay of a timer, ms: about 24 days. */
const DELAY_MS_MAX = 2n ** 31n - 1n;

/** Milliseconds between round `made` and the next. */
export function delayAfter(made: number, { initial, step, max }: AnnounceSchedule): number {
  const delay = BigInt(initial) + BigInt(made - 1) * BigInt(step);
  const capped = delay < 0n || delay > BigInt(max) ? BigInt(max) : delay;
  if (capped < DELAY_MS_MIN) return Number(DELAY_MS_MIN);
  return Number(capped > DELAY_MS_MAX ? DELAY_MS_MAX : capped);
}

/** Number of rounds, cut to 32 bits as in QEMU; Infinity if negative. */
export function roundsOf({ rounds }: AnnounceSchedule): number {
  const counted = Number(BigInt.asIntN(32, BigInt(rounds)));
  return counted < 0 ? Number.POSITIVE_INFINITY : counted;
}
