// An environment of the client in which time passes only when the client waits, and which stores all output.

import { PassThrough } from 'node:stream';
import type { ExitStatus } from '../../src/cli/client-failure.ts';
import { runProgram } from '../../src/cli/client-program.ts';
import type { CommandIo } from '../../src/cli/command-io.ts';
import type { FakeService } from './fake-service.ts';

export class FakeIo implements CommandIo {
  readonly version = '1.2.3';
  environment: CommandIo['environment'];
  readonly clock: CommandIo['clock'];
  stdout = '';
  stderr = '';
  /** Width of the terminal, or null for none. */
  width: number | null = null;
  /** The same for standard output. */
  outWidth: number | null = null;
  readonly input = new PassThrough();
  terminal: CommandIo['terminal'] = null;
  readonly #outputClosed = new AbortController();
  nowMs = 0;
  /** Called with the time before each wait; may change anything. */
  onWait: (nowMs: number) => void | Promise<void> = () => {};
  readonly #interrupt = new AbortController();

  constructor(url: string | undefined) {
    this.environment = { url, token: undefined, terminal: 'xterm' };
    this.clock = {
      nowMs: () => this.nowMs,
      date: () => new Date(2026, 10, 4, 2, 15, 26),
      wait: async (ms, signal) => {
        await this.onWait(this.nowMs);
        if (!signal?.aborted) this.nowMs += ms;
      },
    };
  }

  get interrupt(): AbortSignal {
    return this.#interrupt.signal;
  }

  get outputClosed(): AbortSignal {
    return this.#outputClosed.signal;
  }

  /** Simulates that the reader has closed standard output. */
  closeOutput(): void {
    this.#outputClosed.abort();
  }

  signal(name: 'SIGINT' | 'SIGTERM'): void {
    this.#interrupt.abort(name);
  }

  out(text: string): void {
    this.stdout += text;
  }

  err(text: string): void {
    this.stderr += text;
  }

  columns(): number | null {
    return this.width;
  }

  outColumns(): number | null {
    return this.outWidth;
  }

  /** Standard output as JSON lines. */
  get lines(): Readonly<Record<string, unknown>>[] {
    return this.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  }
}

/** A io whose VMFERRY_URL is the service. */
export function ioOf(service: FakeService): FakeIo {
  return new FakeIo(service.url);
}

/** Runs `vmferry snapshot WORDS`. */
export function run(io: FakeIo, ...words: string[]): Promise<ExitStatus> {
  return runProgram(['snapshot', ...words], io);
}

/** Runs `vmferry WORDS`. */
export function runVmferry(io: FakeIo, ...words: string[]): Promise<ExitStatus> {
  return runProgram(words, io);
}
