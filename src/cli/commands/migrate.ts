import { EXIT, type ExitStatus, Failure } from '../client-failure.ts';
import {
  cancelMigration,
  decodeMigration,
  lookAtMigration,
  lookAtPanic,
  type Migration,
  type Panic,
} from '../client-migration.ts';
import type { ServiceEvent } from '../event-reader.ts';
import { jsonLine } from '../json-values.ts';
import { createMigrationOutput, type MigrationOutput } from '../output/migration-output.ts';
import { oneLine } from '../output/plain-text.ts';
import { type Service, ServiceClient, type Started } from '../service-client.ts';
import { exitStatusOf, follow, startOnce, type Waiting } from '../work-follower.ts';
import type { World } from '../world.ts';
import { type Common, withClient } from './service-command.ts';

/* migrate and cancel: start a migration and optionally follow it to its end; cancel the current migration. */

export type MigrateCommand = Waiting & {
  readonly uri: string;
  readonly resumes: boolean;
  readonly service: Service;
  readonly json: boolean;
  readonly quiet: boolean;
};

/** Starts a migration, with --wait follows it to its end, and gives the exit status of its outcome. */
export async function runMigrateCommand(command: MigrateCommand, world: World): Promise<ExitStatus> {
  const output = createMigrationOutput({ ...command, world });
  const client = new ServiceClient(command.service, null);
  try {
    return await run(command, { world, output, client });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    output.failure(error);
    return error.exitStatus;
  } finally {
    output.end();
  }
}

type Parts = { readonly world: World; readonly output: MigrationOutput; readonly client: ServiceClient };

async function run(command: MigrateCommand, { world, output, client }: Parts): Promise<ExitStatus> {
  const { uri, resumes, waits, timeoutMs, cancelsOnTimeout, reconnectMs } = command;
  const startedMs = world.clock.nowMs();
  const note = (text: string): void => output.note(text);
  const body = resumes ? { uri, resume: true } : { uri };
  const events = new WakingEvents(client, output);
  // The stream is open before the migration starts, so that no event is missed.
  if (waits) await events.begin();
  try {
    const { work: migration, wasReplayed } = await startOnce({
      send: (key) => start(client, body, key),
      waiting: command,
      world,
      note,
    });
    if (wasReplayed) output.replayed(migration);
    if (!waits && !world.interrupt.aborted) {
      output.accepted(migration);
      return EXIT.done;
    }
    const ending = await follow(migration, {
      name: `migration ${migration.id}`,
      look: (deadlineMs) => lookAtMigration(client, migration.id, deadlineMs),
      cancel: async () => note(`cancel: ${await cancelMigration(client)}`),
      wake: () => events.next(),
      world,
      deadlineMs: timeoutMs === null ? null : startedMs + timeoutMs,
      cancelsOnTimeout,
      reconnectMs,
      report: (seen) => output.report(seen),
      note,
    });
    const ended = exitStatusOf(ending, world.interrupt);
    // A migration completes with a panicked guest too; such a guest does not run at the target.
    const panic = ended === EXIT.done ? await panicOfGuest(client, note) : null;
    const exitStatus = panic === null ? ended : EXIT.failed;
    output.result(ending, { exitStatus, panic });
    return exitStatus;
  } finally {
    await events.end();
  }
}

/** The panic of the guest; null if there is none, or if the service no longer answers after the migration. */
async function panicOfGuest(client: ServiceClient, note: (text: string) => void): Promise<Panic | null> {
  try {
    return await lookAtPanic(client);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    note(`whether the guest had panicked is not known: ${error.message}`);
    return null;
  }
}

async function start(client: ServiceClient, body: object, key: string): Promise<Started<Migration>> {
  const { work, wasReplayed } = await client.askOnce({ method: 'POST', path: '/migrate', body }, key);
  return { work: decodeMigration(work), wasReplayed };
}

/** The events of the service. Each event ends the pause before the next poll of the migration. */
class WakingEvents {
  readonly #client: ServiceClient;
  readonly #output: MigrationOutput;
  readonly #stop = new AbortController();
  #ended: Promise<unknown> = Promise.resolve();
  #next = Promise.withResolvers<void>();

  constructor(client: ServiceClient, output: MigrationOutput) {
    this.#client = client;
    this.#output = output;
  }

  /** Opens the event stream. Failures are ignored: without events the migration is only polled less often. */
  async begin(): Promise<void> {
    try {
      const events = await this.#client.events(null, this.#stop.signal);
      this.#ended = this.#read(events).catch(() => {});
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }

  async #read(events: AsyncIterable<ServiceEvent>): Promise<void> {
    for await (const event of events) {
      this.#output.event(event);
      this.#next.resolve();
      this.#next = Promise.withResolvers();
    }
  }

  /** Resolves at the next event. */
  next(): Promise<void> {
    return this.#next.promise;
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#ended;
  }
}

/** Messages for the outcomes of a cancel. */
const CANCEL_MESSAGES: Readonly<Record<string, string>> = {
  cancelled: 'cancelled',
  'already-completed': 'too late: the migration had completed',
  'already-failed': 'too late: the migration had failed',
  'not-cancellable': 'too late: the guest has been handed over to the target',
  'nothing-to-cancel': 'there is no migration to cancel',
};

/** Cancels the migration and prints the outcome. Exit status 0: it was cancelled; 1: it ended before, or there is none. */
export function runCancelCommand(command: Common, world: World): Promise<ExitStatus> {
  return withClient({ ...command, operation: 'cancel' }, world, async (client) => {
    const outcome = await cancelMigration(client);
    const isDone = outcome === 'cancelled';
    if (command.json) world.out(jsonLine({ outcome }));
    else if (isDone) world.out(`${CANCEL_MESSAGES[outcome]}\n`);
    else world.err(`vmferry: cancel: ${oneLine(CANCEL_MESSAGES[outcome] ?? outcome)}\n`);
    return isDone ? EXIT.done : EXIT.failed;
  });
}
