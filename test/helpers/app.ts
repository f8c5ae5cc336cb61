// Services for tests, real except for the parts that a test controls, with their own data directory, closed after the
// test.

import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, type AppOptions, createApp } from '../../src/app.ts';
import { type Config, readInvocation } from '../../src/config.ts';
import type { Clock } from '../../src/domain/ports/process.ts';
import type { Server } from '../../src/routes/plugins/common-hooks.ts';
import { RESERVE_BYTES, RESERVE_FILE } from '../../src/store/disk-room.ts';
import { FakeEngine, type FakeIncoming, type FakeOutgoing } from '../domain/fakes/fake-engine.ts';
import { FakeMachine } from '../domain/fakes/fake-machine.ts';
import { MemoryBlocks } from './memory-blocks.ts';
import { whenOver } from './shared.ts';

/** A directory that is removed after the test, or after the tests that share it. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'vmferry-test-'));
  whenOver(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** A token file for this test that only its owner can read. @returns its path. */
export function tokenFile(lines: readonly string[]): string {
  const path = join(temporaryDirectory(), 'tokens');
  writeFileSync(path, `${lines.join('\n')}\n`, { mode: 0o600 });
  return path;
}

/**
 * A new data directory. Its reserve has the right length and no content, which would take a third of the time that a service needs to
 * start. Tests of full disks have directories of their own.
 */
function dataDirectory(): string {
  const directory = temporaryDirectory();
  const reserve = join(directory, RESERVE_FILE);
  writeFileSync(reserve, '', { mode: 0o600 });
  truncateSync(reserve, RESERVE_BYTES);
  return directory;
}

/** The configuration from these flags, with a port and a log for tests. */
export function testConfig(flags: readonly string[] = [], data = dataDirectory()): Config {
  const fixed = ['serve', '--http', '127.0.0.1:0', '--data', data, '--log-level', 'silent'];
  const invocation = readInvocation([...fixed, ...flags], '0.0.0', {});
  if (invocation.action !== 'serve') throw new Error('these flags do not start a service');
  return invocation.config;
}

/** Any app, closed after the test. */
export async function startApp(config: Config, options: AppOptions = {}): Promise<App> {
  const app = await createApp(config, options);
  whenOver(() => app.close());
  return app;
}

export type FakeApp = App & {
  readonly machine: FakeMachine;
  readonly blocks: MemoryBlocks;
  readonly outgoing: () => FakeOutgoing;
  readonly incoming: () => FakeIncoming;
};

/** An app whose engines and machine the test controls; store, domain and HTTP are real. */
export async function fakeApp(
  setup: {
    readonly flags?: readonly string[];
    readonly limits?: AppOptions['limits'];
    readonly machine?: FakeMachine;
    readonly blocks?: MemoryBlocks;
    readonly clock?: Clock;
  } = {},
): Promise<FakeApp> {
  const engine = new FakeEngine();
  const machine = setup.machine ?? new FakeMachine();
  const blocks = setup.blocks ?? new MemoryBlocks();
  const { flags, limits, clock } = setup;
  const given = { ...(limits === undefined ? {} : { limits }), ...(clock === undefined ? {} : { clock }) };
  const made = await createApp(testConfig(flags), { engine, machine, blocks, ...given });
  const close = async (): Promise<void> => {
    const closed = made.close();
    // A real worker ends at a cancel; the fake one needs an order.
    for (const transfer of engine.outgoing) if (transfer.cancel() === 'cancelled') transfer.letGo();
    await closed;
  };
  whenOver(close);
  const outgoing = (): FakeOutgoing => engine.outgoing.at(-1)!;
  return { ...made, close, machine, blocks, outgoing, incoming: () => engine.incoming.at(-1)! };
}

export type Reply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>;
  readonly text: string;
  /** The body, if it is JSON. */
  readonly json: Readonly<Record<string, unknown>>;
};

type Request = {
  readonly method?: 'GET' | 'HEAD' | 'OPTIONS' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON, a text as it is. */
  readonly body?: unknown;
};

/** Asks without a socket. */
export async function ask(server: Server, url: string, request: Request = {}): Promise<Reply> {
  const { method = request.body === undefined ? 'GET' : 'POST', body } = request;
  const isText = typeof body === 'string' || Buffer.isBuffer(body);
  const headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...request.headers };
  const payload = body === undefined ? {} : { payload: isText ? body : JSON.stringify(body) };
  const { statusCode, headers: got, payload: text } = await server.inject({ method, url, headers, ...payload });
  const isJson = statusCode !== 206 && String(got['content-type']).includes('json');
  return { status: statusCode, headers: got, text, json: isJson && text !== '' ? JSON.parse(text) : {} };
}

/** Listens on a free port. @returns the port. */
export async function listen(server: Server): Promise<number> {
  await server.listen({ host: '127.0.0.1', port: 0 });
  const address = server.server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Sends bytes unchanged. @returns all received data after the other side has closed the connection. */
export function exchange(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error);
    });
    socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
  });
}
