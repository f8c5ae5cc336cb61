import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const START_MS_MAX = 60_000;

export type JsonObject = { readonly [member: string]: unknown };

/** The members of `GET /migrate` that the bench uses. Times in milliseconds. */
export type MigrationInfo = {
  readonly status?: string;
  readonly 'total-time'?: number;
  readonly 'setup-time'?: number;
  readonly downtime?: number;
  readonly 'error-desc'?: string;
  readonly 'socket-address'?: readonly { readonly host: string; readonly port: string }[];
  readonly ram?: { readonly normal: number; readonly duplicate: number; readonly 'dirty-sync-count': number };
};

/** A service in its own process, controlled over HTTP. It ends with its scope. */
export class Service implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #exited: Promise<unknown>;
  readonly url: string;

  private constructor(child: ChildProcess, exited: Promise<unknown>, place: { directory: string; url: string }) {
    this.#child = child;
    this.#exited = exited;
    this.#directory = place.directory;
    this.url = place.url;
  }

  /**
   * Starts `vmferry serve` with these flags on a free port, with the data of an earlier service or with new data below
   * `directory`. The data is removed at the end.
   */
  static async start(directory: string, flags: readonly string[], earlier?: string): Promise<Service> {
    const data = earlier ?? mkdtempSync(join(directory, 'service-'));
    const fixed = ['--http', '127.0.0.1:0', '--data', data, '--log-level', 'error'];
    const child = spawn(process.execPath, [...startCommand(), ...fixed, ...flags], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    const timer = setTimeout(() => child.kill('SIGKILL'), START_MS_MAX);
    try {
      return new Service(child, exited, { directory: data, url: await addressOf(child, exited) });
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Ends the service without removing its data. @returns the data directory */
  async stop(): Promise<string> {
    this.#child.kill('SIGTERM');
    await this.#exited;
    return this.#directory;
  }

  get fileRoot(): string {
    return join(this.#directory, 'files');
  }

  /** Sends a request. @throws Error if the status of the answer is not 2xx */
  async call(
    path: string,
    request: { method?: string; body?: JsonObject; waitSeconds?: number } = {},
  ): Promise<unknown> {
    const { body, waitSeconds, method = body === undefined ? 'GET' : 'POST' } = request;
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(waitSeconds === undefined ? {} : { prefer: `wait=${waitSeconds}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} was answered ${response.status}: ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  async migration(): Promise<MigrationInfo> {
    return (await this.call('/migrate')) as MigrationInfo;
  }

  /** The port on which this service waits for a migration. */
  async incomingPort(): Promise<number> {
    const port = (await this.migration())['socket-address']?.[0]?.port;
    if (port === undefined) throw new Error('the target does not report its port');
    return Number(port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGTERM');
    await this.#exited;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** The command of `npm start` without npm: the service with the same Node flags. */
function startCommand(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: { start: string } };
  const words = scripts.start.split(' ');
  return words.slice(words.indexOf('node') + 1);
}

/** The line that the service prints when it is ready. */
async function addressOf(child: ChildProcess, exited: Promise<unknown>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const url = /^vmferry: (http:\S+)$/.exec(line)?.[1];
    if (url !== undefined) resolve(url);
  });
  exited.then(() => reject(new Error('the service ended before it was ready')));
  return promise;
}
