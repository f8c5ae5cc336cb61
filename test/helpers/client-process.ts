// The command-line client as a separate process, and a service at a fixed address.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { whenOver } from './shared.ts';

/** Runs the build if it is newer than the sources. */
export const BIN = fileURLToPath(new URL('../../bin/vmferry.js', import.meta.url));

export type Client = {
  readonly child: ChildProcess;
  readonly ended: Promise<[status: number | null, signal: string | null]>;
  output(): string;
  errors(): string;
};

/** Starts `vmferry snapshot WORDS`; `node` has the arguments of Node itself. */
export function startClient(url: string, words: readonly string[], node: readonly string[] = [BIN]): Client {
  return startCommand(url, ['snapshot', ...words], { node });
}

type CommandOptions = { readonly node?: readonly string[]; readonly token?: string };

/** Starts `vmferry WORDS`. */
export function startCommand(url: string, words: readonly string[], options: CommandOptions = {}): Client {
  const { node = [BIN], token = '' } = options;
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  const env = { PATH, NODE_COMPILE_CACHE, VMFERRY_URL: url, VMFERRY_TOKEN: token, VMFERRY_NONSENSE: '1' };
  const child = spawn(process.execPath, [...node, ...words], { env });
  whenOver(() => void child.kill('SIGKILL'));
  const said = { output: '', errors: '' };
  child.stdout.on('data', (chunk) => {
    said.output += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    said.errors += String(chunk);
  });
  const ended = once(child, 'close') as Client['ended'];
  return { child, ended, output: () => said.output, errors: () => said.errors };
}

export type ServiceProcess = { readonly child: ChildProcess; readonly url: string };

/** Starts `vmferry serve FLAGS` and resolves when it answers. It is ended after the test. */
export async function startService(flags: readonly string[]): Promise<ServiceProcess> {
  const options = { stdio: ['ignore', 'pipe', 'inherit'] as ['ignore', 'pipe', 'inherit'] };
  const child = spawn(process.execPath, [BIN, 'serve', '--log-level', 'silent', ...flags], options);
  whenOver(() => void child.kill('SIGKILL'));
  const [line] = await Promise.race([
    once(createInterface({ input: child.stdout }), 'line'),
    once(child, 'exit').then(() => Promise.reject(new Error('the service ended'))),
  ]);
  return { child, url: String(line).replace('vmferry: ', '') };
}

/** A port without a listener. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
