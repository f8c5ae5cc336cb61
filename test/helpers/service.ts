// A complete service in this process with a client: real store, real engine, real machine.

import { expect } from 'vitest';
import type { App, AppOptions } from '../../src/app.ts';
import { ask, type Reply, startApp, temporaryDirectory, testConfig } from './app.ts';

const ENDED: ReadonlySet<unknown> = new Set(['completed', 'failed', 'cancelled']);
/** The longest wait for one answer. The time-out of a test ends it earlier. */
const WAIT_SECONDS = 50;

export type MigrationState = {
  readonly status: string;
  readonly 'error-desc'?: string;
  readonly 'socket-address'?: readonly { readonly type: string; readonly port?: string; readonly path?: string }[];
  readonly ram?: Readonly<Record<string, number>>;
  readonly [member: string]: unknown;
};

export class Service {
  readonly app: App;
  readonly dataDirectory: string;

  constructor(app: App, dataDirectory: string) {
    this.app = app;
    this.dataDirectory = dataDirectory;
  }

  get(url: string, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return ask(this.app.server, url, { headers });
  }

  /** Posts and expects success. */
  async post(url: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    const reply = await ask(this.app.server, url, { method: 'POST', body, headers });
    expect(reply.status, reply.text).toBeLessThan(300);
    return reply;
  }

  /** Starts a migration. Resolves with its row when it has ended. */
  async send(uri: string): Promise<Readonly<Record<string, unknown>>> {
    return (await this.post('/migrate', { uri }, { prefer: `wait=${WAIT_SECONDS}` })).json;
  }

  async migration(): Promise<MigrationState> {
    return (await this.get('/migrate')).json as MigrationState;
  }

  /** Waits, by long polls, until the migration is in a state that passes. */
  async waitFor(passes: (state: MigrationState) => boolean): Promise<MigrationState> {
    let tag: string | null = null;
    for (;;) {
      const headers = tag === null ? {} : { 'if-none-match': tag, prefer: `wait=${WAIT_SECONDS}` };
      const reply = await this.get('/migrate', headers as Readonly<Record<string, string>>);
      if (reply.status === 200 && passes(reply.json as MigrationState)) return reply.json as MigrationState;
      tag = String(reply.headers.etag);
    }
  }

  waitForEnd(): Promise<MigrationState> {
    return this.waitFor((state) => ENDED.has(state.status));
  }

  /** The address of the incoming migration, as a URI. */
  async listeningUri(): Promise<string> {
    const [address] = (await this.migration())['socket-address'] ?? [];
    if (address?.type === 'unix') return `unix:${address.path}`;
    return `tcp:127.0.0.1:${address?.port}`;
  }

  /** The error code of the newest migration in the history. */
  async lastErrorCode(): Promise<string | null> {
    const { migrations } = (await this.get('/migrations?limit=1')).json as {
      migrations: { error: { code: string } | null }[];
    };
    return migrations[0]?.error?.code ?? null;
  }
}

/** Starts a service that ends with the test. */
export async function startService(flags: readonly string[], options: AppOptions = {}): Promise<Service> {
  const directory = temporaryDirectory();
  return new Service(await startApp(testConfig(flags, directory), options), directory);
}
