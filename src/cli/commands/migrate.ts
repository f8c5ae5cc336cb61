import { EXIT, type ExitStatus, Failure, unexpectedAnswer } from '../client-failure.ts';
import { decodeMigration, type Migration, type Panic, panicOf } from '../client-work.ts';
import type { CommandIo } from '../command-io.ts';
import type { ServiceEvent } from '../event-reader.ts';
import { isRecord, jsonLine } from '../json-values.ts';
import { createMigrationOutput, type MigrationOutput } from '../output/migration-output.ts';
import { oneLine } from '../output/plain-text.ts';
import { type Service, ServiceClient, type Started } from '../service-client.ts';
import { startAndFollow, type Waiting, withOutput } from '../work-follower.ts';
import { type Common, withClient } from './run-reported.ts';

/*
 * migrate and cancel: start a migration and optionally follow it to its end; cancel the current migration.
 * incoming, continue, blockers: the target of a migration, its pause before the switchover, and migration blockers.
 */

export type MigrateCommand = Waiting & {
  readonly uri: string;
  readonly resumes: boolean;
  readonly service: Service;
  readonly json: boolean;
  readonly quiet: boolean;
};

/** Starts a migration, with --wait follows it to its end, and gives the exit status of its outcome. */
export async function runMigrateCommand(command: MigrateCommand, io: CommandIo): Promise<ExitStatus> {
  const output = createMigrationOutput({ ...command, io });
  const client = new ServiceClient(command.service, null);
  const events = new WakingEvents(client, output);
  return await withOutput(output, async () => {
    // The stream is open before the migration starts, so that no event is missed.
    if (command.waits) await events.begin();
    try {
      return await run(command, { io, output, client, events });
    } finally {
      await events.end();
    }
  });
}

type Parts = {
  readonly io: CommandIo;
  readonly output: MigrationOutput;
  readonly client: ServiceClient;
  readonly events: WakingEvents;
};

function run(command: MigrateCommand, { io, output, client, events }: Parts): Promise<ExitStatus> {
  const { uri, resumes } = command;
  const body = resumes ? { uri, resume: true } : { uri };
  const note = (text: string): void => output.note(text);
  return startAndFollow({
    waiting: command,
    io,
    output,
    nameOf: ({ id }) => `migration ${id}`,
    send: (key) => start(client, body, key),
    look: ({ id }, deadlineMs) => lookAtMigration(client, id, deadlineMs),
    cancel: async () => note(`cancel: ${await cancelMigration(client)}`),
    wake: () => events.next(),
    result: async (ending, ended) => {
      // A migration completes with a panicked guest too; such a guest does not run at the target.
      const panic = ended === EXIT.done ? await panicOfGuest(client, note) : null;
      const exitStatus = panic === null ? ended : EXIT.failed;
      output.result(ending, { exitStatus, panic });
      return exitStatus;
    },
  });
}

/** The panic of the guest; null if there is none, or if the service no longer answers after the migration. */
async function panicOfGuest(client: ServiceClient, note: (text: string) => void): Promise<Panic | null> {
  try {
    return panicOf(await client.record({ method: 'GET', path: '/machine' }));
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    note(`it is unknown whether the guest had panicked: ${error.message}`);
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

/** Asks for a migration, and for its progress while it runs. */
async function lookAtMigration(client: ServiceClient, id: string, deadlineMs: number): Promise<Migration> {
  const seen = decodeMigration(
    await client.ask({ method: 'GET', path: `/migrations/${encodeURIComponent(id)}`, deadlineMs }),
  );
  if (seen.isConcluded) return seen;
  return decodeMigration(seen.raw, await client.record({ method: 'GET', path: '/migrate/progress', deadlineMs }));
}

/** Cancels the migration. @returns `cancelled`, `already-completed`, `already-failed`, `not-cancellable` or `nothing-to-cancel`. */
async function cancelMigration(client: ServiceClient): Promise<string> {
  const { outcome } = await client.record({ method: 'POST', path: '/migrate/cancel' });
  if (typeof outcome !== 'string') throw unexpectedAnswer('the cancel has no outcome');
  return outcome;
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
export function runCancelCommand(command: Common, io: CommandIo): Promise<ExitStatus> {
  return withClient({ ...command, operation: 'cancel' }, io, async (client) => {
    const outcome = await cancelMigration(client);
    const isDone = outcome === 'cancelled';
    if (command.json) io.out(jsonLine({ outcome }));
    else if (isDone) io.out(`${CANCEL_MESSAGES[outcome]}\n`);
    else io.err(`vmferry: cancel: ${oneLine(CANCEL_MESSAGES[outcome] ?? outcome)}\n`);
    return isDone ? EXIT.done : EXIT.failed;
  });
}

/** Makes the service listen for a migration and prints the addresses. */
export function runIncomingCommand(
  command: Common & { readonly uri: string; readonly quiet: boolean },
  io: CommandIo,
): Promise<ExitStatus> {
  const { uri, json, quiet } = command;
  return withClient({ ...command, operation: `incoming ${uri}` }, io, async (client) => {
    const migration = decodeMigration(await client.ask({ method: 'POST', path: '/migrate/incoming', body: { uri } }));
    const { 'socket-address': addresses = [] } = await client.record({ method: 'GET', path: '/migrate' });
    const where = Array.isArray(addresses) ? addresses.filter(isRecord).map(addressText) : [];
    if (json) io.out(jsonLine({ migration: migration.raw, 'socket-address': addresses }));
    else if (quiet) io.out(`${oneLine(migration.id)}\n`);
    else io.out(`${oneLine(`listening on ${where.join(', ') || uri}: migration ${migration.id}`)}\n`);
    return EXIT.done;
  });
}

/** Makes the service stop listening, provided that no source has connected. */
export function runEndIncomingCommand(command: Common, io: CommandIo): Promise<ExitStatus> {
  return withClient({ ...command, operation: 'incoming --end' }, io, async (client) => {
    await client.remove('/migrate/incoming');
    if (command.json) io.out(jsonLine({ listening: false }));
    return EXIT.done;
  });
}

/** A socket address as a migration URI. */
function addressText({ type, host, port, path }: Readonly<Record<string, unknown>>): string {
  if (type === 'unix') return `unix:${path}`;
  const name = String(host);
  return `tcp:${name.includes(':') ? `[${name}]` : name}:${port}`;
}

/** Continues a migration that waits in the given state. */
export function runContinueCommand(command: Common & { readonly state: string }, io: CommandIo): Promise<ExitStatus> {
  const { state, json } = command;
  return withClient({ ...command, operation: 'continue' }, io, async (client) => {
    const migration = await client.record({ method: 'POST', path: '/migrate/continue', body: { state } });
    io.out(json ? jsonLine(migration) : `${oneLine(`the migration continues (${migration.status})`)}\n`);
    return EXIT.done;
  });
}

/** Prints the migration blockers. */
export function runBlockersCommand(command: Common, io: CommandIo): Promise<ExitStatus> {
  return withClient({ ...command, operation: 'blockers' }, io, async (client) => {
    const found = await client.record({ method: 'GET', path: '/migrate/blockers' });
    const list = Array.isArray(found.blockers) ? found.blockers.filter(isRecord) : [];
    if (command.json) io.out(jsonLine(found));
    else io.out(list.map(({ id, reason }) => `${oneLine(`${id}: ${reason}`)}\n`).join(''));
    return EXIT.done;
  });
}

/** Adds a migration blocker and prints its id. */
export function runAddBlockerCommand(
  command: Common & { readonly reason: string },
  io: CommandIo,
): Promise<ExitStatus> {
  const { reason, json } = command;
  return withClient({ ...command, operation: 'blockers' }, io, async (client) => {
    const blocker = await client.record({ method: 'POST', path: '/migrate/blockers', body: { reason } });
    io.out(json ? jsonLine(blocker) : `${oneLine(String(blocker.id))}\n`);
    return EXIT.done;
  });
}

/** Removes a migration blocker. */
export function runRemoveBlockerCommand(command: Common & { readonly id: string }, io: CommandIo): Promise<ExitStatus> {
  const { id, json } = command;
  return withClient({ ...command, operation: `blocker ${id}` }, io, async (client) => {
    await client.remove(`/migrate/blockers/${encodeURIComponent(id)}`);
    if (json) io.out(jsonLine({ id }));
    return EXIT.done;
  });
}
