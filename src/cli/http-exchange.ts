import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { ConnectionLost, Failure, unexpectedAnswer } from './client-failure.ts';

/*
 * HTTP requests: `exchange` reads a whole answer before a deadline, `open` gives the answer as a stream without an end. No
 * redirects, no retries. They use node:http and not fetch; docs/dependencies.md gives the reasons.
 */

const ANSWER_BYTES_MAX = 64 * 2 ** 20;

export type Request = {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Address of the service. */
  readonly base: URL;
  /** Path and query after the base. They are sent unchanged. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly signal: AbortSignal | null;
};

export type Exchange = Request & { readonly deadlineMs: number };

export type Head = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
};

export type Answer = Head & { readonly text: string };

/** An answer that is read while it arrives. */
export type OpenAnswer = Head & { readonly chunks: AsyncIterable<Buffer> };

/**
 * Sends a request and reads the whole answer.
 * @throws ConnectionLost if the whole answer did not arrive before the deadline.
 * @throws the signal's reason when it aborts.
 */
export async function exchange({ deadlineMs, ...request }: Exchange): Promise<Answer> {
  const { signal } = request;
  const deadline = AbortSignal.timeout(Math.ceil(deadlineMs));
  const late = new ConnectionLost(`no answer within ${Math.ceil(deadlineMs) / 1000} s`, { mayHaveArrived: true });
  const stop = signal === null ? deadline : AbortSignal.any([signal, deadline]);
  const sending = new Sending(request, stop);
  try {
    return await readAll(await sending.answered());
  } catch (error) {
    throw sending.explained(deadline.aborted && !signal?.aborted ? late : error, signal);
  }
}

/**
 * Sends a request and gives the answer as a stream, which may have no end. The connection counts as lost if nothing arrives
 * for `idleMsMax`, in milliseconds; 0: no limit.
 * @throws ConnectionLost, here and while it is read.
 * @throws the signal's reason when it aborts.
 */
export async function open({ idleMsMax, ...request }: Request & { readonly idleMsMax: number }): Promise<OpenAnswer> {
  const { signal } = request;
  const sending = new Sending(request, signal);
  const silent = new ConnectionLost(`nothing arrived for ${Math.ceil(idleMsMax) / 1000} s`, { mayHaveArrived: true });
  try {
    const incoming = await sending.answered((outgoing) =>
      outgoing.setTimeout(idleMsMax, () => outgoing.destroy(silent)),
    );
    return { ...headOf(incoming), chunks: chunksOf(incoming, (error) => sending.explained(error, signal)) };
  } catch (error) {
    throw sending.explained(error, signal);
  }
}

async function* chunksOf(incoming: IncomingMessage, explained: (error: unknown) => unknown): AsyncIterable<Buffer> {
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    throw explained(error);
  }
}

/** A request that is being sent. It records whether the service may have received it. */
class Sending {
  readonly #request: Request;
  readonly #stop: AbortSignal | null;
  #wasSent = false;

  constructor(request: Request, stop: AbortSignal | null) {
    this.#request = request;
    this.#stop = stop;
  }

  async answered(prepare: (outgoing: ClientRequest) => void = () => {}): Promise<IncomingMessage> {
    const { base, body } = this.#request;
    const { request: send } = base.protocol === 'https:' ? await import('node:https') : await import('node:http');
    return await new Promise((resolve, reject) => {
      const outgoing = send(optionsOf(this.#request, this.#stop), resolve);
      outgoing.on('error', reject);
      outgoing.on('socket', (socket) => socket.once(readyEvent(base), () => (this.#wasSent = true)));
      prepare(outgoing);
      outgoing.end(body ?? undefined);
    });
  }

  /** The error for the caller: the reason of the aborted signal, a Failure, or a ConnectionLost. */
  explained(error: unknown, signal: AbortSignal | null): unknown {
    if (signal?.aborted) return signal.reason;
    if (error instanceof Failure && !(error instanceof ConnectionLost)) return error;
    if (isNoHttp(error)) return unexpectedAnswer('it is not HTTP');
    const reason = error instanceof ConnectionLost ? error.message : reasonOf(error as NodeJS.ErrnoException);
    const wasSent = this.#wasSent;
    const message = `${wasSent ? 'lost' : 'cannot reach'} ${this.#request.base.origin}: ${reason}`;
    return new ConnectionLost(message, { mayHaveArrived: wasSent });
  }
}

function readyEvent(base: URL): string {
  return base.protocol === 'https:' ? 'secureConnect' : 'connect';
}

function optionsOf({ method, base, path, headers, body }: Request, signal: AbortSignal | null): RequestOptions {
  return {
    method,
    protocol: base.protocol,
    host: base.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: base.port,
    path: `${base.pathname.replace(/\/+$/, '')}${path}`,
    headers: {
      accept: 'application/json, application/problem+json',
      ...(body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      ...headers,
    },
    ...(signal === null ? {} : { signal }),
    agent: false,
  };
}

function headOf(incoming: IncomingMessage): Head {
  return { status: incoming.statusCode ?? 0, headers: incoming.headers };
}

async function readAll(incoming: IncomingMessage): Promise<Answer> {
  return { ...headOf(incoming), text: await readText(incoming as AsyncIterable<Buffer>) };
}

/** Reads a stream as UTF-8 text. @throws Failure if the text is longer than 64 MiB. */
export async function readText(source: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw unexpectedAnswer(`it is longer than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function isNoHttp(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code?.startsWith?.('HPE_') ?? false;
}

function reasonOf(error: NodeJS.ErrnoException): string {
  const text = REASONS[error.code ?? ''];
  return text === undefined ? `${error.message || error.code}` : `${text} (${error.code})`;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was closed',
  EPIPE: 'the connection was closed',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the host name cannot be resolved at present',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
};
