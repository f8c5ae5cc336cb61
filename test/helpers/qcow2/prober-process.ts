// Controls the process of prober.ts: detects that it hangs, dies, or uses more memory than allowed.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { RepairReport } from '../../../src/block/image.ts';

export type Probe = {
  readonly path: string;
  readonly readOnly: boolean;
  /** Also write, snapshot, apply, delete. */
  readonly change: boolean;
};

export type ProbeResult = {
  /** The error of opening or closing the image. */
  readonly refused: { readonly code: string; readonly message: string } | null;
  /** The codes of failures after it was opened. */
  readonly errors: readonly string[];
  /** An error that is not about the image. */
  readonly foreign: string | null;
  readonly repaired: RepairReport | null;
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly arrayBufferBytes: number;
};

const PROBER = fileURLToPath(new URL('./prober.ts', import.meta.url));
/** Wall clock: on a busy computer a process gets half a CPU or less. */
const ANSWER_MS_MAX = 25_000;
const HEAP_MIB = 128;

export class ProberProcess {
  readonly #child: ChildProcess;
  #ended: string | null = null;
  readonly #stderr: string[] = [];

  /** Ends with the running test. */
  constructor() {
    const execArgv = [`--max-old-space-size=${HEAP_MIB}`];
    this.#child = fork(PROBER, [], { execArgv, stdio: ['ignore', 'ignore', 'pipe', 'ipc'], serialization: 'advanced' });
    this.#child.stderr?.on('data', (text) => this.#stderr.push(String(text)));
    this.#child.once('exit', (code, signal) => {
      this.#ended = `ended with ${code ?? signal}: ${this.#stderr.join('').slice(-2000)}`;
    });
    onTestFinished(() => {
      this.#child.kill('SIGKILL');
    });
  }

  /** @throws Error if the process hangs or dies over it. */
  probe(probe: Probe): Promise<ProbeResult> {
    return new Promise((resolve, reject) => {
      const child = this.#child;
      const settle = (fault: string | null, result?: ProbeResult) => {
        clearTimeout(timer);
        child.off('exit', onExit);
        child.off('message', onMessage);
        if (result !== undefined) resolve(result);
        else reject(new Error(`The process that opened ${probe.path} ${fault}.`));
      };
      const onExit = (code: number | null, signal: string | null) => {
        settle(`ended with ${code ?? signal}: ${this.#stderr.join('').slice(-2000)}`);
      };
      const onMessage = (result: unknown) => settle(null, result as ProbeResult);
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        settle(`gave no answer in ${ANSWER_MS_MAX} ms`);
      }, ANSWER_MS_MAX);
      child.once('exit', onExit).once('message', onMessage);
      if (this.#ended !== null) settle(this.#ended);
      else child.send(probe);
    });
  }
}
