import { createInterface } from 'node:readline';
import { ConnectionLost, Failure } from '../client-failure.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { QUIT, runPrompt } from '../monitor-prompt.ts';
import { oneLine } from '../output/plain-text.ts';
import { PrintableStream } from '../printable-stream.ts';
import type { ServiceClient } from '../service-client.ts';
import type { World } from '../world.ts';
import { type Common, failureObject, guarded, jsonLine } from './service-command.ts';

/* monitor: lines of the text monitor, typed at a prompt or taken from standard input. */

export type MonitorCommand = Common & {
  /** Null: none is kept. */
  readonly historyFile: string | null;
  readonly showsEvents: boolean;
};

export function runMonitorCommand(command: MonitorCommand, world: World): Promise<ExitStatus> {
  const { json, historyFile, showsEvents } = command;
  return guarded({ ...command, what: 'monitor' }, world, (client) => {
    const { terminal } = world;
    if (terminal === null || json) return runLines(client, json, world);
    return runPrompt({ client, terminal, historyFile, showsEvents, world });
  });
}

/** Each line is sent when the one before has been answered. An error ends nothing, but shows in the exit status. */
async function runLines(client: ServiceClient, json: boolean, world: World): Promise<ExitStatus> {
  let status: ExitStatus = EXIT.done;
  const lines = createInterface({ input: world.input, crlfDelay: Number.POSITIVE_INFINITY });
  world.interrupt.addEventListener('abort', () => lines.close(), { once: true });
  for await (const line of lines) {
    if (QUIT.has(line.trim()) || world.outputClosed.aborted) break;
    if (line.trim() === '') continue;
    try {
      if (await sendLine(client, line, json, world)) status = EXIT.refused;
    } catch (error) {
      if (!(error instanceof Failure) || error instanceof ConnectionLost) throw error;
      status = error.exitStatus;
      if (json) world.out(jsonLine({ ...failureObject(error), line }));
      else world.err(`vmferry: monitor: ${oneLine(`${line}: ${error.message}`)}\n`);
    }
  }
  world.interrupt.throwIfAborted();
  return status;
}

/** @returns true if the answer is an error of the monitor: its last line begins with "Error: ". */
async function sendLine(client: ServiceClient, line: string, json: boolean, world: World): Promise<boolean> {
  const decoder = new PrintableStream();
  let text = '';
  for await (const chunk of client.text('/hmp', line, world.interrupt)) {
    const piece = decoder.take(chunk);
    text += piece;
    if (!json) world.out(piece);
  }
  if (json) world.out(jsonLine({ type: 'output', line, text }));
  return text.trimEnd().split('\n').at(-1)?.startsWith('Error: ') ?? false;
}
