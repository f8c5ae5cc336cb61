import { ConnectionLost, EXIT, type ExitStatus, Reconnection } from '../client-failure.ts';
import type { CommandIo } from '../command-io.ts';
import { type ListenOptions, listen, type ServiceEvent } from '../event-reader.ts';
import { isRecord, jsonLine } from '../json-values.ts';
import {
  eventLine,
  eventObject,
  guestProblems,
  type Overview,
  overviewLine,
  overviewText,
  readinessProblems,
  wrapped,
} from '../output/observe-text.ts';
import { createPaint, oneLine } from '../output/plain-text.ts';
import type { ServiceClient } from '../service-client.ts';
import { type Common, withClient } from './run-reported.ts';

/* status, events: the state of the machine and its migration, and the events of the service. */

export type StatusCommand = Common & {
  readonly watches: boolean;
  /** Ends with 1 if something is wrong with the service or its guest. */
  readonly checks: boolean;
  /** Interval of --watch, in milliseconds. */
  readonly everyMs: number;
  /** How long a lost service is asked again, in milliseconds. */
  readonly reconnectMs: number;
};

export function runStatusCommand(command: StatusCommand, io: CommandIo): Promise<ExitStatus> {
  return withClient({ ...command, operation: 'status' }, io, async (client) => {
    if (command.watches) return await watch(command, client, io);
    const overview = await look(client);
    const problems = command.checks ? await problemsOf(client, overview) : null;
    const shown = problems === null ? overview : { ...overview, problems };
    io.out(command.json ? jsonLine(shown) : overviewText(overview));
    for (const problem of problems ?? []) io.err(`vmferry: status: ${oneLine(problem)}\n`);
    return (problems ?? []).length === 0 ? EXIT.done : EXIT.failed;
  });
}

/** Asks for the four answers that the status consists of. */
async function look(client: ServiceClient): Promise<Overview> {
  const [status, machine, migrate, progress] = await Promise.all(
    ['/status', '/machine', '/migrate', '/migrate/progress'].map((path) => client.record({ method: 'GET', path })),
  );
  return { status, machine, migrate, progress } as Overview;
}

/** One sentence for each fault that the service or its guest does not recover from without help. */
async function problemsOf(client: ServiceClient, overview: Overview): Promise<readonly string[]> {
  const [readiness, history] = await Promise.all([
    client.readiness(),
    client.record({ method: 'GET', path: '/migrations?limit=1' }),
  ]);
  const newest = Array.isArray(history.migrations) ? history.migrations[0] : null;
  return [...guestProblems(overview, isRecord(newest) ? newest : null), ...readinessProblems(readiness)];
}

/** Prints the status repeatedly. Ends at a signal, or when standard output is closed. */
async function watch(command: StatusCommand, client: ServiceClient, io: CommandIo): Promise<ExitStatus> {
  const screen = new Screen(command.json, io);
  const { clock, interrupt, outputClosed } = io;
  const note = (text: string): void => screen.note(text);
  const reconnection = new Reconnection({ clock, reconnectMs: command.reconnectMs, note });
  while (!outputClosed.aborted) {
    try {
      screen.show(await look(client));
      reconnection.answered();
    } catch (error) {
      if (interrupt.aborted || !(error instanceof ConnectionLost) || reconnection.failed(error)) throw error;
    }
    await clock.wait(command.everyMs, interrupt);
    interrupt.throwIfAborted();
  }
  return EXIT.done;
}

/** The output of --watch: on a terminal each status overwrites the one before; elsewhere each new status is a line. */
class Screen {
  readonly #json: boolean;
  readonly #io: CommandIo;
  #last = '';
  #lines = 0;

  constructor(json: boolean, io: CommandIo) {
    this.#json = json;
    this.#io = io;
  }

  show(overview: Overview): void {
    const isScreen = !this.#json && this.#io.outColumns() !== null;
    const text = this.#json ? jsonLine(overview) : isScreen ? this.#fitted(overview) : overviewLine(overview);
    if (text === this.#last) return;
    this.#last = text;
    this.#io.out(isScreen ? `${this.#back()}${text}` : text);
    this.#lines = isScreen ? text.split('\n').length - 1 : 0;
  }

  note(text: string): void {
    if (this.#json) this.#io.out(jsonLine({ type: 'note', detail: text }));
    else this.#io.err(`vmferry: status: ${oneLine(text)}\n`);
    this.#last = '';
    this.#lines = 0;
  }

  /** Escape sequence that moves the cursor to the first line of the last status and clears the rest of the screen. */
  #back(): string {
    return this.#lines === 0 ? '' : `\u001b[${this.#lines}A\r\u001b[J`;
  }

  /** The status in lines that the terminal does not wrap, so that their number is known. */
  #fitted(overview: Overview): string {
    const columns = this.#io.outColumns() ?? 0;
    return overviewText(overview)
      .split('\n')
      .flatMap((line) => wrapped(line, Math.max(columns - 1, 0)))
      .join('\n');
  }
}

export type EventsCommand = Common & {
  /** Number of the event after which the output begins; null: from now on. */
  readonly since: string | null;
  readonly reconnectMs: number;
};

/** Prints events as they happen. Ends at a signal, or when standard output is closed. */
export function runEventsCommand(command: EventsCommand, io: CommandIo): Promise<ExitStatus> {
  const { json, since, reconnectMs } = command;
  const paint = createPaint(io);
  const note = (text: string): void => {
    if (json) io.out(jsonLine({ type: 'note', detail: text }));
    else io.err(`vmferry: events: ${oneLine(text)}\n`);
  };
  const take = (event: ServiceEvent): void => {
    const { id, name, body } = event;
    if (json) io.out(jsonLine(id === null ? { type: name, ...body } : eventObject(id, body)));
    else if (name === 'bye') note(`the service closes: ${body.reason}`);
    else io.out(`${eventLine(event, paint)}\n`);
  };
  return withClient({ ...command, operation: 'events' }, io, async (client) => {
    const stop = AbortSignal.any([io.interrupt, io.outputClosed]);
    const open: ListenOptions['open'] = (after, signal) => client.events(after, signal);
    await listen({ open, since, clock: io.clock, stop, reconnectMs, take, note });
    io.interrupt.throwIfAborted();
    return EXIT.done;
  });
}
