// A world for the client in which time passes when it waits, and everything that it says is kept.

import type { ExitStatus } from '../../src/cli/exit-status.ts';
import { runSnapshot } from '../../src/cli/program.ts';
import type { World } from '../../src/cli/world.ts';
import type { FakeService } from './fake-service.ts';

export class FakeWorld implements World {
  environment: World['environment'];
  readonly clock: World['clock'];
  stdout = '';
  stderr = '';
  /** Width of the terminal, or null for none. */
  width: number | null = null;
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

  /** Standard output as JSON lines. */
  get lines(): Readonly<Record<string, unknown>>[] {
    return this.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
  }
}

/** A world whose VMFERRY_URL is the service. */
export function worldOf(service: FakeService): FakeWorld {
  return new FakeWorld(service.url);
}

/** Runs `vmferry snapshot WORDS`. */
export function run(world: FakeWorld, ...words: string[]): Promise<ExitStatus> {
  return runSnapshot(words, world);
}
