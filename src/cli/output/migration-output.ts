import { EXIT, type ExitStatus, type Failure, failureObject } from '../client-failure.ts';
import { type Migration, type Panic, shownMigration, verdictOf } from '../client-work.ts';
import type { CommandIo } from '../command-io.ts';
import type { ServiceEvent } from '../event-reader.ts';
import { isRecord, jsonLine, numberOf } from '../json-values.ts';
import type { Ending, WorkOutput } from '../work-follower.ts';
import { replayedNote } from './job-output.ts';
import { eventObject } from './observe-text.ts';
import { durationText, oneLine, sizeText } from './plain-text.ts';
import { createProgress, LINE_MS_MIN, type Progress, progressStyle } from './progress-display.ts';

/* Output of `vmferry migrate`: text for people, or with --json one JSON object on each line. */

export type MigrationOutput = WorkOutput<Migration> & {
  event(event: ServiceEvent): void;
  /** The end of a migration that was followed. */
  result(ending: Ending<Migration>, result: Result): void;
};

/** Exit status of the command; `panic` is set if the migration completed with a panicked guest. */
export type Result = { readonly exitStatus: ExitStatus; readonly panic: Panic | null };

export type MigrationOutputOptions = {
  readonly uri: string;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly io: CommandIo;
};

export function createMigrationOutput(options: MigrationOutputOptions): MigrationOutput {
  return options.json ? new JsonOutput(options) : new HumanOutput(options);
}

class HumanOutput implements MigrationOutput {
  readonly #options: MigrationOutputOptions;
  readonly #doing: string;
  readonly #progress: Progress;
  #verdict = '';

  constructor(options: MigrationOutputOptions) {
    const { uri, quiet, io } = options;
    this.#options = options;
    this.#doing = `migrating to ${oneLine(uri)}`;
    this.#progress = createProgress({ style: progressStyle(io, quiet), label: this.#doing, io });
  }

  report(migration: Migration): void {
    const verdict = verdictOf(migration.progress);
    if (verdict !== null && verdict.verdict !== this.#verdict) {
      // A first verdict `converging` is not printed: the figures show it.
      const isNotable = verdict.verdict !== 'converging' || this.#verdict !== '';
      this.#verdict = verdict.verdict;
      if (isNotable) this.note(`${verdict.verdict}: ${verdict.reason}`);
    }
    this.#progress.show(shownMigration(migration));
  }

  event(): void {}

  note(text: string): void {
    if (!this.#options.quiet) this.#progress.note(text);
  }

  replayed({ id }: Migration): void {
    this.note(replayedNote('migration', id));
  }

  end(): void {
    this.#progress.end();
  }

  accepted({ id }: Migration): void {
    this.end();
    const { quiet, io } = this.#options;
    io.out(quiet ? `${id}\n` : `${this.#doing}: migration ${id} has started\n`);
  }

  result({ last, stop }: Ending<Migration>, { exitStatus, panic }: Result): void {
    this.end();
    if (exitStatus === EXIT.done) this.#succeeded(last);
    else if (panic !== null) this.#printError(`completed, but the guest had panicked (${panic.kind}): ${panic.detail}`);
    else if (stop === null) this.#printError(endedBadly(last));
    else this.#printError(`${stop === 'timeout' ? 'not done in time' : 'interrupted'}: ${standing(last)}`);
  }

  failure(failure: Failure): void {
    this.end();
    this.#printError(failure.message);
  }

  #succeeded({ uri, note, raw: { result } }: Migration): void {
    const { quiet, io } = this.#options;
    if (!quiet) io.out(`migrated to ${oneLine(uri)}: ${summary(result)}\n`);
    // The note is about the place of the guest, so it is printed with --quiet too.
    if (note !== null) this.#printError(note);
  }

  #printError(text: string): void {
    this.#options.io.err(`vmferry: ${this.#doing}: ${oneLine(text)}\n`);
  }
}

/** `79.4 MiB in 0.5 s, downtime 16 ms`: the figures that the service reports. */
function summary(result: unknown): string {
  const figures = isRecord(result) ? result : {};
  const ram = isRecord(figures.ram) ? figures.ram : {};
  const [bytes, totalMs, downtimeMs] = [ram.transferred, figures['total-time'], figures.downtime].map(numberOf);
  const size = bytes == null ? 'done' : sizeText(bytes);
  const time = totalMs == null ? '' : ` in ${durationText(totalMs)}`;
  return `${size}${time}${downtimeMs == null ? '' : `, downtime ${downtimeMs} ms`}`;
}

/** Place of the guest after a migration. */
const GUEST_PLACES: Readonly<Record<string, string>> = {
  here: '; the guest is here',
  there: '; the guest is at the other side',
  'there, unconfirmed': '; the guest is at the other side, but the target has not confirmed it',
  unknown: '; it is unknown which side has the guest',
};

/** Outcome of a migration that did not complete. */
function endedBadly({ status, error, guest }: Migration): string {
  const how = status === 'cancelled' ? 'cancelled' : 'failed';
  const why = error === null || status === 'cancelled' ? '' : ` (${error.code}): ${error.detail.replace(/\.$/, '')}`;
  return `${how}${why}${GUEST_PLACES[guest ?? ''] ?? ''}`;
}

/** State of a migration that the command stopped waiting for. */
function standing(migration: Migration): string {
  const { id, status, isConcluded, isCompleted, guest } = migration;
  if (!isConcluded) return `migration ${id} continues (${status})`;
  return isCompleted ? `the migration had completed already${GUEST_PLACES[guest ?? ''] ?? ''}` : endedBadly(migration);
}

/** Writes everything to standard output, so that a program reads one stream. The last line has `exit-status`. */
class JsonOutput implements MigrationOutput {
  readonly #options: MigrationOutputOptions;
  #last = '';
  #wasReplayed = false;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(options: MigrationOutputOptions) {
    this.#options = options;
  }

  report({ progress }: Migration): void {
    const { quiet, io } = this.#options;
    const now = io.clock.nowMs();
    const text = JSON.stringify(progress);
    if (quiet || progress === null || now < this.#nextMs || text === this.#last) return;
    this.#last = text;
    this.#nextMs = now + LINE_MS_MIN;
    this.#line({ type: 'progress', progress });
  }

  event({ id, body }: ServiceEvent): void {
    if (!this.#options.quiet && id !== null) this.#line(eventObject(id, body));
  }

  note(text: string): void {
    if (!this.#options.quiet) this.#line({ type: 'note', detail: text });
  }

  replayed({ id }: Migration): void {
    this.#wasReplayed = true;
    this.note(replayedNote('migration', id));
  }

  end(): void {}

  accepted({ raw }: Migration): void {
    const replayed = this.#wasReplayed;
    this.#line({ type: 'result', 'exit-status': EXIT.done, outcome: 'accepted', replayed, migration: raw });
  }

  result({ last, stop }: Ending<Migration>, { exitStatus, panic }: Result): void {
    const outcome = last.outcome ?? 'running';
    const about = { stopped: stop, replayed: this.#wasReplayed, panic };
    this.#line({ type: 'result', 'exit-status': exitStatus, outcome, ...about, migration: last.raw });
  }

  failure(failure: Failure): void {
    this.#line(failureObject(failure));
  }

  #line(value: object): void {
    this.#options.io.out(jsonLine(value));
  }
}
