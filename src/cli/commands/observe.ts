import { ConnectionLost } from '../client-failure.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { isRecord } from '../json-values.ts';
import { type Overview, overviewLine, overviewText, wrapped } from '../output/observe-text.ts';
import { oneLine } from '../output/plain-text.ts';
import type { ServiceClient } from '../service-client.ts';
import { guestProblems, readinessProblems } from '../status-check.ts';
import type { World } from '../world.ts';
import { type Common, guarded, jsonLine } from './service-command.ts';

/* status: the machine and its migration, once or for as long as one looks. */

export type StatusCommand = Common & {
  readonly watches: boolean;
  /** Ends with 1 if something is wrong with the service or its guest. */
  readonly checks: boolean;
  /** Between two looks. */
  readonly everyMs: number;
  /** For how long a service that went away is asked again. */
  readonly reconnectMs: number;
};

export function runStatusCommand(command: StatusCommand, world: World): Promise<ExitStatus> {
  return guarded({ ...command, what: 'status' }, world, async (client) => {
    if (command.watches) return await watch(command, client, world);
    const overview = await look(client);
    const problems = command.checks ? await problemsOf(client, overview) : null;
    const shown = problems === null ? overview : { ...overview, problems };
    world.out(command.json ? jsonLine(shown) : overviewText(overview));
    for (const problem of problems ?? []) world.err(`vmferry: status: ${oneLine(problem)}\n`);
    return (problems ?? []).length === 0 ? EXIT.done : EXIT.failed;
  });
}

/** The service as it is now. */
async function look(client: ServiceClient): Promise<Overview> {
  const [status, machine, migrate, progress] = await Promise.all(
    ['/status', '/machine', '/migrate', '/migrate/progress'].map((path) => client.record({ method: 'GET', path })),
  );
  return { status, machine, migrate, progress } as Overview;
}

/** One sentence for each thing that keeps the service or its guest from going on by itself. */
async function problemsOf(client: ServiceClient, overview: Overview): Promise<readonly string[]> {
  const [readiness, history] = await Promise.all([
    client.readiness(),
    client.record({ method: 'GET', path: '/migrations?limit=1' }),
  ]);
  const newest = Array.isArray(history.migrations) ? history.migrations[0] : null;
  return [...guestProblems(overview, isRecord(newest) ? newest : null), ...readinessProblems(readiness)];
}

/** Ends with a signal, or when nobody reads the output any more. */
async function watch(command: StatusCommand, client: ServiceClient, world: World): Promise<ExitStatus> {
  const screen = new Screen(command.json, world);
  let lostAtMs: number | null = null;
  while (!world.outputClosed.aborted) {
    try {
      screen.show(await look(client));
      lostAtMs = null;
    } catch (error) {
      if (world.interrupt.aborted || !(error instanceof ConnectionLost)) throw error;
      if (lostAtMs === null) screen.note(`${error.message}; trying again`);
      lostAtMs ??= world.clock.nowMs();
      if (world.clock.nowMs() - lostAtMs >= command.reconnectMs) throw error;
    }
    await world.clock.wait(command.everyMs, world.interrupt);
    world.interrupt.throwIfAborted();
  }
  return EXIT.done;
}

/** Written over on a terminal; elsewhere a line whenever it says something new. */
class Screen {
  readonly #json: boolean;
  readonly #world: World;
  #last = '';
  #lines = 0;

  constructor(json: boolean, world: World) {
    this.#json = json;
    this.#world = world;
  }

  show(overview: Overview): void {
    const isScreen = !this.#json && this.#world.outColumns() !== null;
    const text = this.#json ? jsonLine(overview) : isScreen ? this.#fitted(overview) : overviewLine(overview);
    if (text === this.#last) return;
    this.#last = text;
    this.#world.out(isScreen ? `${this.#back()}${text}` : text);
    this.#lines = isScreen ? text.split('\n').length - 1 : 0;
  }

  note(text: string): void {
    if (this.#json) this.#world.out(jsonLine({ type: 'note', detail: text }));
    else this.#world.err(`vmferry: status: ${oneLine(text)}\n`);
    this.#last = '';
    this.#lines = 0;
  }

  /** To the first of the lines that were written, and nothing from there on. */
  #back(): string {
    return this.#lines === 0 ? '' : `\u001b[${this.#lines}A\r\u001b[J`;
  }

  /** The terminal may wrap no line, or else the way back would not be known. */
  #fitted(overview: Overview): string {
    const columns = this.#world.outColumns() ?? 0;
    return overviewText(overview)
      .split('\n')
      .flatMap((line) => wrapped(line, Math.max(columns - 1, 0)))
      .join('\n');
  }
}
