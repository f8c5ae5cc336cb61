import type { IncomingMessage, RequestOptions } from 'node:http';
import { ConnectionLost, Failure, unexpectedAnswer } from './failure.ts';

/* One request and its whole answer over node:http: no redirects, no retries, and a deadline for everything together. */

const ANSWER_BYTES_MAX = 64 * 2 ** 20;

export type Exchange = {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Service address, without a slash at its end. */
  readonly base: URL;
  /** Path and query behind the base, sent as they are. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly deadlineMs: number;
  readonly signal: AbortSignal | null;
};

export type Answer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
};

/**
 * @throws ConnectionLost if no whole answer came in time.
 * @throws the signal's reason when it aborts.
 */
export async function exchange(request: Exchange): Promise<Answer> {
  const { base, signal, deadlineMs } = request;
  const { request: send } = base.protocol === 'https:' ? await import('node:https') : await import('node:http');
  const deadline = AbortSignal.timeout(Math.ceil(deadlineMs));
  const stop = signal === null ? deadline : AbortSignal.any([signal, deadline]);
  let wasSent = false;
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const outgoing = send(optionsOf(request, stop), (incoming) => read(incoming).then(resolve, reject));
      outgoing.on('error', reject);
      outgoing.on('socket', (socket) => socket.once(readyEvent(base), () => (wasSent = true)));
      outgoing.end(request.body ?? undefined);
    });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (error instanceof Failure) throw error;
    if (!deadline.aborted && isNoHttp(error)) throw unexpectedAnswer('it is no HTTP');
    const why = deadline.aborted
      ? `no answer within ${Math.ceil(deadlineMs) / 1000} s`
      : reasonOf(error as NodeJS.ErrnoException);
    throw new ConnectionLost(`${wasSent ? 'lost' : 'cannot reach'} ${base.origin}: ${why}`, {
      mayHaveArrived: wasSent,
    });
  }
}

function readyEvent(base: URL): string {
  return base.protocol === 'https:' ? 'secureConnect' : 'connect';
}

function optionsOf({ method, base, path, headers, body }: Exchange, signal: AbortSignal): RequestOptions {
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
    signal,
    agent: false,
  };
}

async function read(incoming: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw unexpectedAnswer(`it is longer than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, text: Buffer.concat(chunks).toString('utf8') };
}

function isNoHttp(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code?.startsWith('HPE_') ?? false;
}

function reasonOf(error: NodeJS.ErrnoException): string {
  const text = REASONS[error.code ?? ''];
  return text === undefined ? `${error.message || error.code}` : `${text} (${error.code})`;
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
};
