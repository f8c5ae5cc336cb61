import { clearLine, cursorTo } from 'node:readline';
import { createInterface, type Interface } from 'node:readline/promises';
import { Failure } from './client-failure.ts';
import { listen } from './event-listener.ts';
import type { ServiceEvent } from './event-reader.ts';
import { eventLine } from './event-text.ts';
import { EXIT, type ExitStatus } from './exit-status.ts';
import { HISTORY_LINES_MAX, readHistory, writeHistory } from './history-file.ts';
import { completeLine } from './monitor-completer.ts';
import { oneLine } from './output/plain-text.ts';
import { createPaint, type Paint } from './paint.ts';
import { PrintableStream } from './printable-stream.ts';
import type { ServiceClient } from './service-client.ts';
import type { World } from './world.ts';

/*
 * The prompt of `vmferry monitor`. Lines are answered one after another; what is typed meanwhile waits. Events are
 * written above the prompt as they come, and what was being typed stays.
 */

export type PromptOptions = {
  readonly client: ServiceClient;
  readonly terminal: NonNullable<World['terminal']>;
  readonly historyFile: string | null;
  readonly showsEvents: boolean;
  readonly world: World;
};

const PROMPT = '(vmferry) ';
/** Lines that end the monitor here. The service never sees them: what they would end is the machine. */
export const QUIT: ReadonlySet<string> = new Set(['quit', 'q']);

/** Ends with `quit`, Ctrl-D, or a signal. */
export async function runPrompt(options: PromptOptions): Promise<ExitStatus> {
  const prompt = new Prompt(options);
  await prompt.run();
  options.world.interrupt.throwIfAborted();
  return EXIT.done;
}

class Prompt {
  readonly #options: PromptOptions;
  readonly #lines: Interface;
  readonly #paint: Paint;
  readonly #ended = new AbortController();
  readonly #waiting: string[] = [];
  /** Breaks off the line that is being answered; null at the prompt. */
  #busy: AbortController | null = null;
  #isAtLineStart = true;
  #hasQuit = false;

  constructor(options: PromptOptions) {
    const { client, terminal, world } = options;
    this.#options = options;
    this.#paint = createPaint(world);
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
    const { world, showsEvents } = this.#options;
    const lines = this.#lines;
    lines.on('line', (line) => {
      this.#waiting.push(line);
      if (this.#busy === null) void this.#answerAll();
    });
    lines.on('history', (history) => this.#keep(history));
    lines.on('SIGINT', () => this.#interrupted());
    const closed = new Promise<void>((resolve) => lines.once('close', resolve));
    const close = (): void => lines.close();
    world.interrupt.addEventListener('abort', close, { once: true });
    const events = showsEvents ? this.#follow() : Promise.resolve();
    lines.prompt();
    await closed;
    world.interrupt.removeEventListener('abort', close);
    this.#busy?.abort();
    this.#ended.abort();
    await events;
    // Ctrl-D leaves the cursor behind the prompt.
    if (!this.#hasQuit) this.#write('\n');
  }

  /** Answers what was typed, in its order, and shows the prompt again. */
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
      if (!busy.signal.aborted) this.#complain(error instanceof Failure ? error.message : String(error));
      else if (!this.#ended.signal.aborted) this.#complain('not waited for any more; what was asked for may go on');
    } finally {
      this.#busy = null;
    }
  }

  /** Ctrl-C: gives up the answer that is awaited, or else what was being typed. */
  #interrupted(): void {
    if (this.#busy !== null) {
      this.#busy.abort();
      return;
    }
    this.#write('^C\n');
    if (this.#lines.line === '') this.#write('quit or Ctrl-D ends the monitor\n');
    // Clears what was typed, as a shell does.
    this.#lines.write(null, { ctrl: true, name: 'e' });
    this.#lines.write(null, { ctrl: true, name: 'u' });
    this.#lines.prompt();
  }

  async #follow(): Promise<void> {
    const { client, world } = this.#options;
    const take = (event: ServiceEvent): void => {
      if (event.name !== 'bye') this.#aside(eventLine(event, this.#paint));
    };
    const note = (text: string): void => this.#aside(this.#paint('dim', oneLine(`events: ${text}`)));
    const stop = this.#ended.signal;
    const reconnectMs = Number.POSITIVE_INFINITY;
    try {
      await listen({ client, since: null, clock: world.clock, stop, reconnectMs, take, note });
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

  #complain(text: string): void {
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
    const { historyFile, world } = this.#options;
    try {
      return historyFile === null ? [] : readHistory(historyFile);
    } catch (error) {
      world.err(`vmferry: monitor: the history cannot be read: ${oneLine((error as Error).message)}\n`);
      return [];
    }
  }

  /** A prompt whose history cannot be kept is still a prompt. */
  #keep(history: readonly string[]): void {
    const { historyFile } = this.#options;
    try {
      if (historyFile !== null) writeHistory(historyFile, history);
    } catch {
      // Nothing was lost but what could be typed again.
    }
  }
}
