// Complete services for migration tests, in this process or in their own, controlled over HTTP in both cases.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { type App, type AppOptions, createApp } from '../../src/app.ts';
import type { CancelOutcome } from '../../src/domain/migration/migration-status.ts';
import { ask, type Reply, testConfig } from './app.ts';
import { MemoryBlocks } from './memory-blocks.ts';
import { whenOver } from './shared.ts';

type Request = NonNullable<Parameters<typeof ask>[2]>;

/** The members of GET /migrate that tests use. */
export type MigrateInfo = {
  readonly status?: string;
  readonly 'error-desc'?: string;
  readonly 'total-time'?: number;
  readonly downtime?: number;
  readonly 'expected-downtime'?: number;
  readonly 'socket-address'?: readonly { readonly host: string; readonly port: string; readonly path?: string }[];
  readonly ram?: Readonly<Record<string, number>>;
};

/** A row of the history. */
export type MigrationRow = {
  readonly id: string;
  readonly status: string;
  readonly error: { readonly code: string; readonly desc: string } | null;
  readonly guest: string | null;
};

export type Guest = { readonly ticks: number; readonly 'pages-checked': number; readonly panic: unknown };

/** One vmferry, asked over HTTP. */
export class Service {
  readonly call: (path: string, request?: Request) => Promise<Reply>;

  constructor(call: Service['call']) {
    this.call = call;
  }

  async get<T>(path: string): Promise<T> {
    const reply = await this.call(path);
    expect(reply.status, `${path}: ${reply.text}`).toBe(200);
    return reply.json as T;
  }

  async post(path: string, body: object = {}): Promise<Reply> {
    const reply = await this.call(path, { method: 'POST', ...(Object.keys(body).length === 0 ? {} : { body }) });
    expect(reply.status, `${path}: ${reply.text}`).toBeLessThan(300);
    return reply;
  }

  async set(parameters: Readonly<Record<string, unknown>>): Promise<void> {
    const reply = await this.call('/migrate/parameters', { method: 'PATCH', body: parameters });
    expect(reply.status, reply.text).toBe(200);
  }

  async enable(...capabilities: readonly string[]): Promise<void> {
    const body = { capabilities: capabilities.map((capability) => ({ capability, state: true })) };
    const reply = await this.call('/migrate/capabilities', { method: 'PATCH', body });
    expect(reply.status, reply.text).toBe(200);
  }

  query(): Promise<MigrateInfo> {
    return this.get('/migrate');
  }

  guest(): Promise<Guest> {
    return this.get('/machine');
  }

  async runState(): Promise<string> {
    return (await this.get<{ status: string }>('/status')).status;
  }

  async cancel(): Promise<CancelOutcome> {
    return (await this.post('/migrate/cancel')).json.outcome as CancelOutcome;
  }

  /** Starts an outgoing migration. @returns its id. */
  async start(uri: string): Promise<string> {
    return (await this.post('/migrate', { uri })).json.id as string;
  }

  /** Migrates and waits for the end. */
  async migrate(uri: string): Promise<MigrationRow> {
    const reply = await this.call('/migrate', { body: { uri }, headers: { prefer: 'wait=60' } });
    expect(reply.status, reply.text).toBe(200);
    return reply.json as MigrationRow;
  }

  row(id: string): Promise<MigrationRow> {
    return this.get(`/migrations/${id}`);
  }

  /** Waits for the end of the newest migration. */
  async ended(): Promise<MigrationRow> {
    await this.until((info) => ['completed', 'failed', 'cancelled'].includes(info.status ?? ''));
    const { migrations } = await this.get<{ migrations: MigrationRow[] }>('/migrations?limit=1');
    const [newest] = migrations;
    if (newest === undefined) throw new Error('there is no migration');
    return newest;
  }

  /** Waits for an answer of GET /migrate, by long polls. */
  async until(holds: (info: MigrateInfo) => boolean | Promise<boolean>, limitMs = 40_000): Promise<MigrateInfo> {
    const end = performance.now() + limitMs;
    let tag: string | null = null;
    let info: MigrateInfo = {};
    while (performance.now() < end) {
      const condition = tag === null ? {} : { 'if-none-match': tag, prefer: 'wait=2' };
      const reply = await this.call('/migrate', { headers: condition });
      tag = String(reply.headers.etag);
      if (reply.status === 304) continue;
      info = reply.json as MigrateInfo;
      if (await holds(info)) return info;
    }
    throw new Error(`waited ${limitMs} ms in vain; GET /migrate says ${JSON.stringify(info)}`);
  }

  untilStatus(status: string): Promise<MigrateInfo> {
    return this.until((info) => info.status === status);
  }

  /** Expects that the guest runs: its ticks increase. */
  async expectRunning(): Promise<void> {
    expect(await this.runState()).toBe('running');
    const { ticks } = await this.guest();
    await expect.poll(async () => (await this.guest()).ticks, { timeout: 5000, interval: 20 }).toBeGreaterThan(ticks);
    expect((await this.guest()).panic).toBeNull();
  }

  /** The numbers of the ticks on the console, in order. */
  async consoleTicks(): Promise<number[]> {
    const { text } = await this.call('/machine/console');
    return [...text.matchAll(/^tick (\d+)$/gm)].map((match) => Number(match[1]));
  }

  /** The address of an incoming migration. */
  async incomingUri(): Promise<string> {
    const [address] = (await this.query())['socket-address'] ?? [];
    return address?.path === undefined ? `tcp:127.0.0.1:${address?.port}` : `unix:${address.path}`;
  }
}

/** A small guest, unless the flags say otherwise. */
function withGuest(flags: readonly string[]): readonly string[] {
  const ram = flags.includes('--ram') ? [] : ['--ram', '16M'];
  const workload = flags.includes('--workload') ? [] : ['--workload', 'rate=4M,span=2M,pattern=hot'];
  return flags.includes('--machine') ? flags : [...ram, ...workload, ...flags];
}

export type LocalService = Service & { readonly app: App };

/** A service in this process. Without `hasDisk` it has no images and no block thread, which makes its start faster. */
export async function localService(
  flags: readonly string[] = [],
  options: AppOptions & { readonly data?: string; readonly hasDisk?: boolean } = {},
): Promise<LocalService> {
  const { data, hasDisk = false, ...rest } = options;
  const blocks = hasDisk ? {} : { blocks: new MemoryBlocks() };
  const app = await createApp(testConfig(withGuest(flags), data), { ...blocks, ...rest });
  whenOver(() => app.close());
  return Object.assign(new Service((path, request) => ask(app.server, path, request)), { app });
}

/** The events of a local service after number `after`, each with its status or pass. */
export function eventsOf({ app }: { readonly app: App }, after = 0): string[] {
  return app.domain.events.since(after, 10_000).map(({ name, data }) => {
    const { status, pass } = (data ?? {}) as { status?: string; pass?: number };
    return [name, status ?? pass].filter((part) => part !== undefined).join(' ');
  });
}

export type Spawned = Service & {
  readonly url: string;
  /** Its data directory. */
  readonly data: string;
  readonly process: ChildProcess;
  /** Sends the signal and resolves with the exit status, null if the signal ended it. */
  readonly end: (signal: NodeJS.Signals) => Promise<number | null>;
  readonly errors: () => string;
};

/** The options of a process. Without `deadlines` the defaults apply; `environment` is added to that of the test. */
export type ProcessOptions = {
  readonly deadlines?: AppOptions['deadlines'];
  readonly environment?: Readonly<Record<string, string>>;
};

/** A service in a process of its own, ended after the test at the latest. */
export async function spawnService(
  data: string,
  flags: readonly string[] = [],
  options: ProcessOptions = {},
): Promise<Spawned> {
  const child = startProcess(data, flags, options);
  whenOver(() => void child.kill('SIGKILL'));
  const errors: string[] = [];
  child.stderr?.on('data', (chunk) => errors.push(String(chunk)));
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout! });
  const url = await Promise.race([
    once(lines, 'line').then(([line]) => String(line).replace('vmferry: ', '')),
    exited.then(() => Promise.reject(new Error(`the service ended: ${errors.join('')}`))),
  ]);
  child.stdout?.resume();
  return Object.assign(new Service((path, request) => askOver(url, path, request)), {
    process: child,
    url,
    data,
    errors: () => errors.join(''),
    end: async (signal: NodeJS.Signals) => {
      child.kill(signal);
      return (await exited)[0] as number | null;
    },
  });
}

const IMPATIENT_MAIN = fileURLToPath(new URL('./impatient-main.ts', import.meta.url));

/** Only the process, for starts that fail. */
export function startProcess(
  data: string,
  flags: readonly string[],
  { deadlines, environment = {} }: ProcessOptions = {},
): ChildProcess {
  const program = deadlines === undefined ? ['bin/vmferry.js'] : [IMPATIENT_MAIN, JSON.stringify(deadlines)];
  const fixed = [...program, 'serve', '--http', '127.0.0.1:0', '--data', data, '--log-level', 'silent'];
  return spawn(process.execPath, [...fixed, ...withGuest(flags)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
}

async function askOver(url: string, path: string, request: Request = {}): Promise<Reply> {
  const { method = request.body === undefined ? 'GET' : 'POST', body } = request;
  const headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...request.headers };
  const response = await fetch(`${url}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = String(response.headers.get('content-type')).includes('json') && text !== '';
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    text,
    json: isJson ? JSON.parse(text) : {},
  };
}
