// A service with the answers of a test, over a real socket.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { parseExactJson } from '../../src/cli/json-values.ts';

export type Seen = {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
};

export type Answer = {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** Pieces in place of a body, each sent when it is available. */
  readonly pieces?: AsyncIterable<string> | Iterable<string>;
};

/** `cut`: the connection ends without an answer. */
export type Handler = (seen: Seen) => Answer | 'cut' | Promise<Answer | 'cut'>;

export type JobState = Readonly<Record<string, unknown>>;

export class FakeService {
  readonly requests: Seen[] = [];
  /** The answers of `GET /jobs/j1`: each request gets the next one, and the last one is repeated. */
  readonly states: JobState[] = [];
  handler: Handler;
  #server: Server | null = null;
  #port = 0;

  constructor() {
    this.handler = (seen) => this.serve(seen);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** `METHOD /path` of all requests, in their order. */
  get asked(): string[] {
    return this.requests.map(({ method, path }) => `${method} ${path}`);
  }

  /** Accepts every job and every cancel, and nothing else. */
  serve(seen: Seen): Answer {
    const { method, path } = seen;
    if (method === 'GET' && path === '/jobs/j1') return { status: 200, body: this.#nextState() };
    if (method === 'POST' && path === '/jobs/j1/cancel') {
      this.states.splice(0, this.states.length, concluded('cancelled', 'job_cancelled'));
      return { status: 200, body: { outcome: 'cancelled' } };
    }
    const startsJob = method === 'DELETE' || /^\/(snapshots($|\/[^/]+\/(load|verify)$)|images\/compact$)/.test(path);
    if (method !== 'GET' && startsJob) {
      return { status: 202, body: this.#nextState(), headers: { location: '/jobs/j1' } };
    }
    return problem(404, 'not_found');
  }

  #nextState(): JobState {
    return (this.states.length > 1 ? this.states.shift() : this.states[0]) ?? running();
  }

  /** Listens again on its earlier port, or on a free one. */
  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response));
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    server?.closeAllConnections();
    await new Promise<unknown>((resolve) => (server === null ? resolve(null) : server.close(resolve)));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const seen: Seen = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: text === '' ? undefined : isJson(request) ? parseExactJson(text) : text,
    };
    this.requests.push(seen);
    const answer = await this.handler(seen);
    if (answer === 'cut') {
      response.destroy();
      return;
    }
    response.writeHead(answer.status, { 'content-type': 'application/json', ...answer.headers });
    for await (const piece of answer.pieces ?? []) response.write(piece);
    if (answer.pieces !== undefined) response.end();
    else response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body));
  }
}

function isJson({ headers }: IncomingMessage): boolean {
  return headers['content-type']?.startsWith('application/json') ?? false;
}

/** A fake service that ends with the test. */
export async function fakeService(...states: JobState[]): Promise<FakeService> {
  const service = new FakeService();
  service.states.push(...states);
  await service.start();
  onTestFinished(() => service.stop());
  return service;
}

const MIB = 2 ** 20;

/** A job in progress; sizes in MiB. */
export function running(done = 0, total = 0, status = 'running'): JobState {
  const progress = { 'current-progress': done * MIB, 'total-progress': total * MIB };
  return { id: 'j1', type: 'snapshot-save', status, ...progress, outcome: null, warnings: [] };
}

/** A job that has ended. */
export function concluded(outcome = 'completed', code: string | null = null, warnings: unknown = []): JobState {
  const error = code === null ? {} : { error: `It says ${code}.`, 'error-code': code };
  return { ...running(64, 64, 'concluded'), ...error, outcome, warnings };
}

/** An RFC 9457 answer. */
export function problem(status: number, code: string, detail = `It says ${code}.`): Answer {
  return { status, body: { code, detail, status }, headers: { 'content-type': 'application/problem+json' } };
}

/** The answers of a service by `METHOD /path`; anything else is 404. */
export function answers(table: Readonly<Record<string, Answer | ((seen: Seen) => Answer | 'cut')>>): Handler {
  return (seen) => {
    const found = table[`${seen.method} ${seen.path}`];
    if (found === undefined) return problem(404, 'not_found');
    return typeof found === 'function' ? found(seen) : found;
  };
}

/** A 200 with JSON. */
export function ok(body: unknown): Answer {
  return { status: 200, body };
}
