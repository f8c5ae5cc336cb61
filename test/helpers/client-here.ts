// The command-line client in this process, against a service at an address. test/cli/process.test.ts shows that it
// behaves like a separate process.

import { PassThrough } from 'node:stream';
import type { AppOptions } from '../../src/app.ts';
import { runProgram } from '../../src/cli/client-program.ts';
import { CLOCK, type CommandIo } from '../../src/cli/command-io.ts';
import { readInvocation } from '../../src/config.ts';
import { listen, startApp, testConfig } from './app.ts';

export type Ran = { readonly status: number; readonly output: string; readonly errors: string };

type RunOptions = { readonly token?: string; readonly input?: string };

/** Runs `vmferry WORDS` to its end, without a terminal and without interrupts. */
export async function runCommand(url: string, words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const { token = '', input = '' } = options;
  const invocation = readInvocation(words, '0.0.0', { VMFERRY_URL: url, VMFERRY_TOKEN: token, VMFERRY_NONSENSE: '1' });
  if (invocation.action !== 'client') throw new Error('this is no command of the client');
  let [output, errors] = ['', ''];
  const io: CommandIo = {
    version: invocation.version,
    environment: invocation.environment,
    out: (text) => {
      output += text;
    },
    err: (text) => {
      errors += text;
    },
    columns: () => null,
    outColumns: () => null,
    input: new PassThrough().end(input),
    terminal: null,
    clock: CLOCK,
    interrupt: new AbortController().signal,
    outputClosed: new AbortController().signal,
  };
  const status = await runProgram(invocation.argv, io);
  return { status, output, errors };
}

/** Starts a service in this process. @returns its address. */
export async function listeningService(flags: readonly string[], options: AppOptions = {}): Promise<string> {
  const { server } = await startApp(testConfig(flags), options);
  return `http://127.0.0.1:${await listen(server)}`;
}
