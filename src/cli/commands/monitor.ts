import { createInterface } from 'node:readline';
import { ConnectionLost, EXIT, type ExitStatus, Failure, failureObject } from '../client-failure.ts';
import type { CommandIo } from '../command-io.ts';
import { type Answer, readText } from '../http-exchange.ts';
import { isRecord, jsonLine, parseExactJson } from '../json-values.ts';
import { QUIT, runPrompt } from '../monitor-prompt.ts';
import { oneLine, PrintableStream } from '../output/plain-text.ts';
import { failureOf, type ServiceClient } from '../service-client.ts';
import { type Common, withClient } from './run-reported.ts';

/* monitor, qmp: commands of the text monitor, from a prompt or from standard input, and single QMP commands. */

export type MonitorCommand = Common & {
  /** File of the prompt's history; null: no history is kept. */
  readonly historyFile: string | null;
  readonly showsEvents: boolean;
};

/** Runs the prompt at a terminal; elsewhere, or with --json, sends the lines of standard input. */
export function runMonitorCommand(command: MonitorCommand, io: CommandIo): Promise<ExitStatus> {
  const { json, historyFile, showsEvents } = command;
  return withClient({ ...command, operation: 'monitor' }, io, (client) => {
    const { terminal } = io;
    if (terminal === null || json) return runLines(client, json, io);
    return runPrompt({ client, terminal, historyFile, showsEvents, io });
  });
}

/** Sends each line after the answer to the line before. An error does not end the loop; it sets the exit status. */
async function runLines(client: ServiceClient, json: boolean, io: CommandIo): Promise<ExitStatus> {
  let status: ExitStatus = EXIT.done;
  const lines = createInterface({ input: io.input, crlfDelay: Number.POSITIVE_INFINITY });
  io.interrupt.addEventListener('abort', () => lines.close(), { once: true });
  for await (const line of lines) {
    if (QUIT.has(line.trim()) || io.outputClosed.aborted) break;
    if (line.trim() === '') continue;
    try {
      if (await sendLine(client, line, json, io)) status = EXIT.refused;
    } catch (error) {
      if (!(error instanceof Failure) || error instanceof ConnectionLost) throw error;
      status = error.exitStatus;
      if (json) io.out(jsonLine({ ...failureObject(error), line }));
      else io.err(`vmferry: monitor: ${oneLine(`${line}: ${error.message}`)}\n`);
    }
  }
  io.interrupt.throwIfAborted();
  return status;
}

/** Sends a line and prints its answer. @returns true if the last line of the answer begins with "Error: ". */
async function sendLine(client: ServiceClient, line: string, json: boolean, io: CommandIo): Promise<boolean> {
  const decoder = new PrintableStream();
  let text = '';
  for await (const chunk of client.text('/hmp', line, io.interrupt)) {
    const piece = decoder.take(chunk);
    text += piece;
    if (!json) io.out(piece);
  }
  if (json) io.out(jsonLine({ type: 'output', line, text }));
  return text.trimEnd().split('\n').at(-1)?.startsWith('Error: ') ?? false;
}

/** A command name without arguments. */
const COMMAND_NAME = /^[A-Za-z_][\w-]*$/;
const INDENT = 2;

/** Sends one QMP command and prints the answer. Exit status 4: the answer is an error. */
export function runQmpCommand(command: Common & { readonly text: string }, io: CommandIo): Promise<ExitStatus> {
  return withClient({ ...command, operation: 'qmp' }, io, async (client) => {
    const text = command.text === '-' ? await readText(io.input) : command.text;
    const answer = await client.answer({ method: 'POST', path: '/qmp', body: envelopeOf(text) });
    const body = answerOf(answer);
    io.out(command.json ? jsonLine(body) : `${JSON.stringify(body, null, INDENT)}\n`);
    return body.error === undefined ? EXIT.done : EXIT.refused;
  });
}

/** The QMP command as an object. @throws Failure if the text is neither a command name nor a JSON object. */
function envelopeOf(text: string): unknown {
  if (COMMAND_NAME.test(text.trim())) return { execute: text.trim() };
  try {
    const envelope = parseExactJson(text);
    if (isRecord(envelope)) return envelope;
  } catch {
    // The error below covers invalid JSON too.
  }
  throw new Failure(
    EXIT.usage,
    'it must be a JSON object such as {"execute":"query-status"}, or the name of a command',
  );
}

/** The answer as a QMP object, `{"return":…}` or `{"error":…}`, with any HTTP status. */
function answerOf(answer: Answer): Readonly<Record<string, unknown>> {
  try {
    const body = parseExactJson(answer.text);
    if (isRecord(body) && ('return' in body || isRecord(body.error))) return body;
  } catch {
    // The error below covers invalid JSON too.
  }
  throw failureOf(answer);
}
