import { Failure } from '../client-failure.ts';
import {
  cancelMigration,
  decodeMigration,
  lookAtMigration,
  lookAtPanic,
  type Migration,
  type Panic,
} from '../client-migration.ts';
import type { ServiceEvent } from '../event-reader.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { createMigrationOutput, type MigrationOutput } from '../output/migration-output.ts';
import { type Service, ServiceClient, type Started } from '../service-client.ts';
import { startOnce } from '../start.ts';
import { exitStatusOf, retryMsOf, type Waiting } from '../waiting.ts';
import { follow } from '../work-follower.ts';
import type { World } from '../world.ts';

/* migrate: start a migration, follow it if asked to, and say with the exit status what came of it. */

export type MigrateCommand = Waiting & {
  readonly uri: string;
  readonly resumes: boolean;
  readonly service: Service;
  readonly json: boolean;
  readonly quiet: boolean;
};

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
  const { uri, resumes, waits, timeoutMs, cancelsOnTimeout, reconnectMs, idempotencyKey } = command;
  const startedMs = world.clock.nowMs();
  const note = (text: string): void => output.note(text);
  const body = resumes ? { uri, resume: true } : { uri };
  const events = new Wakeful(client, output);
  // Before the migration begins, so that none of its events is missed.
  if (waits) await events.begin();
  try {
    const { work: migration, wasReplayed } = await startOnce({
      send: (key) => start(client, body, key),
      idempotencyKey,
      retryMs: retryMsOf(command),
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
    // A guest that has panicked goes to the target as it is: the migration completes, and nothing runs there.
    const panic = ended === EXIT.done ? await panicOfGuest(client, note) : null;
    const exitStatus = panic === null ? ended : EXIT.failed;
    output.result(ending, { exitStatus, panic });
    return exitStatus;
  } finally {
    await events.end();
  }
}

/** Null as well if the service does not answer any more: the migration has completed whatever its source says. */
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

/** The events of the service, each of which is a reason to look at the migration at once. */
class Wakeful {
  readonly #client: ServiceClient;
  readonly #output: MigrationOutput;
  readonly #stop = new AbortController();
  #ended: Promise<unknown> = Promise.resolve();
  #next = Promise.withResolvers<void>();

  constructor(client: ServiceClient, output: MigrationOutput) {
    this.#client = client;
    this.#output = output;
  }

  /** Without events the migration is followed all the same, a moment later: what goes wrong here harms nothing. */
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
