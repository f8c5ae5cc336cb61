import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { clearLine, cursorTo } from 'node:readline';
import { createInterface, type Interface } from 'node:readline/promises';
import { EXIT, type ExitStatus, Failure } from './client-failure.ts';
import type { CommandIo, Environment } from './command-io.ts';
import { completeLine } from './command-words.ts';
import { listen, type ServiceEvent } from './event-reader.ts';
import { eventLine } from './output/observe-text.ts';
import { createPaint, oneLine, type Paint, PrintableStream } from './output/plain-text.ts';
import type { ServiceClient } from './service-client.ts';

/*
 * The prompt of `vmferry monitor`. Each line is sent after the answer to the line before; lines that are typed meanwhile
 * wait. An event is written above the prompt, and the unfinished line stays.
 */

export type PromptOptions = {
  readonly client: ServiceClient;
  readonly terminal: NonNullable<CommandIo['terminal']>;
  readonly historyFile: string | null;
  readonly showsEvents: boolean;
  readonly io: CommandIo;
};

const PROMPT = '(vmferry) ';
/** Lines that end the monitor. They are not sent to the service, where they would end the machine. */
export const QUIT: ReadonlySet<string> = new Set(['quit', 'q']);

/** Runs the prompt until `quit`, Ctrl-D or a signal. */
export async function runPrompt(options: PromptOptions): Promise<ExitStatus> {
  const prompt = new Prompt(options);
  await prompt.run();
  options.io.interrupt.throwIfAborted();
  return EXIT.done;
}

class Prompt {
  readonly #options: PromptOptions;
  readonly #lines: Interface;
  readonly #paint: Paint;
  readonly #ended = new AbortController();
  readonly #waiting: string[] = [];
  /** Aborts the request that is being answered; null at the prompt. */
  #busy: AbortController | null = null;
  #isAtLineStart = true;
  #hasQuit = false;

  constructor(options: PromptOptions) {
    const { client, terminal, io } = options;
    this.#options = options;
    this.#paint = createPaint(io);
    this.#lines = createInterface({
      ...terminal,
      terminal: true,
      prompt: PROMPT,
      history: this.#history(),
      historySize: HISTORY_LINES_MAX,
      removeHistoryDuplicates: true,
      completer: (line: string) => completeLine(client, line),
    });
  }

  async run(): Promise<void> {
    const { io, showsEvents } = this.#options;
    const lines = this.#lines;
    lines.on('line', (line) => {
      this.#waiting.push(line);
      if (this.#busy === null) void this.#answerAll();
    });
    lines.on('history', (history) => this.#keep(history));
    lines.on('SIGINT', () => this.#interrupted());
    const closed = new Promise<void>((resolve) => lines.once('close', resolve));
    const close = (): void => lines.close();
    io.interrupt.addEventListener('abort', close, { once: true });
    const events = showsEvents ? this.#follow() : Promise.resolve();
    lines.prompt();
    await closed;
    io.interrupt.removeEventListener('abort', close);
    this.#busy?.abort();
    this.#ended.abort();
    await events;
    // After Ctrl-D the cursor is behind the prompt.
    if (!this.#hasQuit) this.#write('\n');
  }

  /** Sends the waiting lines in their order, then shows the prompt again. */
  async #answerAll(): Promise<void> {
    for (let line = this.#waiting.shift(); line !== undefined; line = this.#waiting.shift()) {
      if (QUIT.has(line.trim())) {
        this.#hasQuit = true;
        this.#lines.close();
        return;
      }
      if (line.trim() !== '') await this.#answer(line);
      if (this.#ended.signal.aborted) return;
    }
    this.#lines.prompt();
  }

  async #answer(line: string): Promise<void> {
    const busy = new AbortController();
    this.#busy = busy;
    const decoder = new PrintableStream();
    this.#isAtLineStart = true;
    try {
      for await (const chunk of this.#options.client.text('/hmp', line, busy.signal)) this.#write(decoder.take(chunk));
      this.#startLine();
    } catch (error) {
      if (!busy.signal.aborted) this.#printError(error instanceof Failure ? error.message : String(error));
      else if (!this.#ended.signal.aborted)
        this.#printError('no longer waiting for the answer; the command may continue');
    } finally {
      this.#busy = null;
    }
  }

  /** Ctrl-C: stops waiting for an answer, or else clears the line. */
  #interrupted(): void {
    if (this.#busy !== null) {
      this.#busy.abort();
      return;
    }
    this.#write('^C\n');
    if (this.#lines.line === '') this.#write('quit or Ctrl-D ends the monitor\n');
    // Ctrl-E and Ctrl-U: to the end of the line, and clear it, as a shell does.
    this.#lines.write(null, { ctrl: true, name: 'e' });
    this.#lines.write(null, { ctrl: true, name: 'u' });
    this.#lines.prompt();
  }

  async #follow(): Promise<void> {
    const { client, io } = this.#options;
    const take = (event: ServiceEvent): void => {
      if (event.name !== 'bye') this.#aside(eventLine(event, this.#paint));
    };
    const note = (text: string): void => this.#aside(this.#paint('dim', oneLine(`events: ${text}`)));
    const stop = this.#ended.signal;
    const reconnectMs = Number.POSITIVE_INFINITY;
    try {
      await listen({
        open: (since, signal) => client.events(since, signal),
        since: null,
        clock: io.clock,
        stop,
        reconnectMs,
        take,
        note,
      });
    } catch (error) {
      if (!stop.aborted) note(error instanceof Failure ? error.message : String(error));
    }
  }

  /** Writes a line above the prompt, or between the lines of an answer. */
  #aside(text: string): void {
    const { output } = this.#options.terminal;
    if (this.#busy !== null) {
      this.#startLine();
      this.#write(`${text}\n`);
      return;
    }
    cursorTo(output, 0);
    clearLine(output, 0);
    this.#write(`${text}\n`);
    this.#lines.prompt(true);
  }

  #printError(text: string): void {
    this.#startLine();
    this.#write(`${this.#paint('red', `vmferry: ${oneLine(text)}`)}\n`);
  }

  #startLine(): void {
    if (!this.#isAtLineStart) this.#write('\n');
  }

  #write(text: string): void {
    if (text === '') return;
    this.#options.terminal.output.write(text);
    this.#isAtLineStart = text.endsWith('\n');
  }

  #history(): string[] {
    const { historyFile, io } = this.#options;
    try {
      return historyFile === null ? [] : readHistory(historyFile);
    } catch (error) {
      io.err(`vmferry: monitor: the history cannot be read: ${oneLine((error as Error).message)}\n`);
      return [];
    }
  }

  /** Saves the history. Failures are ignored: the prompt works without a history. */
  #keep(history: readonly string[]): void {
    const { historyFile } = this.#options;
    try {
      if (historyFile !== null) writeHistory(historyFile, history);
    } catch {
      // Explained above.
    }
  }
}

/** Lines that the history file keeps, oldest first. Only its owner may read the file. */
export const HISTORY_LINES_MAX = 1000;

/** Default path of the history file; null if there is no home directory. */
export function historyPath({ stateHome, home }: Environment): string | null {
  if (stateHome?.startsWith('/')) return join(stateHome, 'vmferry', 'monitor-history');
  return home ? join(home, '.local', 'state', 'vmferry', 'monitor-history') : null;
}

/** The lines of the history file, newest first, as readline expects them; none if there is no file. */
export function readHistory(path: string): string[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n');
    return lines
      .filter((line) => line !== '')
      .reverse()
      .slice(0, HISTORY_LINES_MAX);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Writes the lines, given newest first. */
export function writeHistory(path: string, lines: readonly string[]): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const text = lines
    .slice(0, HISTORY_LINES_MAX)
    .toReversed()
    .map((line) => `${line}\n`);
  writeFileSync(path, text.join(''), { mode: 0o600 });
}
