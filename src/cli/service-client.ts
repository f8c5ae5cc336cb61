import { ConnectionLost, type Failure, failed, refused, unexpectedAnswer } from './client-failure.ts';
import { decodeJob, type Job } from './client-work.ts';
import { readEvents, type ServiceEvent } from './event-reader.ts';
import { type Answer, type Exchange, exchange, type OpenAnswer, open, readText } from './http-exchange.ts';
import { isRecord, parseExactJson } from './json-values.ts';

/* The API of the service. Each method sends one request; the callers decide what follows a lost connection. */

/** Time for an answer, in milliseconds. */
const ANSWER_MS_MAX = 30_000;
/** Pages of one list: with 1000 entries each, more than a service keeps. */
const PAGES_MAX = 1000;
const PAGE_ENTRIES = 1000;
/** Lists that accept a page length. */
const PAGED: ReadonlySet<string> = new Set(['/jobs/history', '/snapshots', '/migrations', '/audit']);
/** Time without any byte of the event stream, in milliseconds. The service sends comments more often. */
const EVENT_SILENCE_MS_MAX = 60_000;

export type Service = { readonly url: URL; readonly token: string | null };

export type Ask = Pick<Exchange, 'method' | 'path'> & {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
};

/** Members of a request for a snapshot job. The service chooses the members that are left out. */
export type JobRequest = {
  readonly vmstate?: string;
  readonly devices?: readonly string[];
  readonly 'job-id'?: string;
  readonly replace?: true;
  readonly 'if-missing'?: true;
  readonly 'disk-only'?: true;
  readonly description?: string;
  readonly ttl?: number;
};

export type Verb = 'save' | 'load' | 'delete' | 'verify' | 'compact';

/** Work that a request has started. `wasReplayed`: an earlier request with the same idempotency key had started it. */
export type Started<Work> = { readonly work: Work; readonly wasReplayed: boolean };

/** A client of one service. */
export class ServiceClient {
  readonly #service: Service;
  readonly #signal: AbortSignal | null;

  /** The signal aborts the current request; null: no signal does. */
  constructor(service: Service, signal: AbortSignal | null) {
    this.#service = service;
    this.#signal = signal;
  }

  /** Sends a request and decodes the JSON of the answer. @throws Failure if the status is not 2xx. */
  async ask(request: Ask): Promise<unknown> {
    return bodyOf(await this.#exchange(request));
  }

  /** Like `ask`, for an answer that must be a JSON object. */
  async record(request: Ask): Promise<Readonly<Record<string, unknown>>> {
    const body = await this.ask(request);
    if (!isRecord(body)) throw unexpectedAnswer(`${request.method} ${request.path} must return a JSON object`);
    return body;
  }

  /** Sends a DELETE, whose answer has no body. */
  async remove(path: string): Promise<void> {
    await this.#exchange({ method: 'DELETE', path });
  }

  /** The answer with any status, for paths whose answers report errors in their own form. */
  async answer(request: Ask): Promise<Answer> {
    return await exchange(this.#exchangeOf(request));
  }

  /** The answer of `GET /readyz`, whose status is 503 while the service is not ready. */
  async readiness(): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.answer({ method: 'GET', path: '/readyz' });
    const body = parsed(answer.text);
    if (isRecord(body) && typeof body.ready === 'boolean') return body;
    throw isSuccess(answer) ? unexpectedAnswer('it does not contain the readiness of the service') : failureOf(answer);
  }

  /** All entries of a list, read in pages of the maximum length. `member` is the member of the answer that contains the list. */
  async pages(
    path: string,
    member: string,
    filter: URLSearchParams = new URLSearchParams(),
  ): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const found: Readonly<Record<string, unknown>>[] = [];
    const first = new URLSearchParams(filter);
    if (PAGED.has(path)) first.set('limit', String(PAGE_ENTRIES));
    let query = first.size === 0 ? '' : `?${first}`;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const answer = await this.#exchange({ method: 'GET', path: `${path}${query}` });
      const body = bodyOf(answer);
      const list = isRecord(body) ? body[member] : null;
      if (!Array.isArray(list) || !list.every(isRecord)) throw unexpectedAnswer(`it has no list of ${member}`);
      found.push(...list);
      const next = nextQuery(answer.headers.link);
      if (next === null) return found;
      query = next;
    }
    throw unexpectedAnswer(`the list of ${member} has more than ${PAGES_MAX} pages`);
  }

  /**
   * Starts a snapshot job; `tag` is null for work on images. The same request with the same idempotency key gives the same job.
   */
  async start(verb: Verb, tag: string | null, request: JobRequest, idempotencyKey: string): Promise<Started<Job>> {
    const { work, wasReplayed } = await this.askOnce(startRequest(verb, tag, request), idempotencyKey);
    return { work: decodeJob(work), wasReplayed };
  }

  /** Sends a request that starts work at most once for an idempotency key. @throws Failure if the status is not 2xx. */
  async askOnce(request: Ask, idempotencyKey: string): Promise<Started<unknown>> {
    const answer = await this.#exchange({ ...request, headers: { 'idempotency-key': idempotencyKey } });
    return { work: bodyOf(answer), wasReplayed: answer.headers['idempotency-replayed'] === 'true' };
  }

  async job(id: string, deadlineMs: number): Promise<Job> {
    const path = `/jobs/${encodeURIComponent(id)}`;
    return decodeJob(await this.ask({ method: 'GET', path, deadlineMs }));
  }

  /** Asks to cancel a job. The outcome of the job shows whether it was cancelled. */
  async cancelJob(id: string): Promise<void> {
    await this.ask({ method: 'POST', path: `/jobs/${encodeURIComponent(id)}/cancel` });
  }

  /**
   * Opens the event stream after the event of the given number; null: from now on. The stream ends when the service closes
   * it.
   */
  async events(since: string | null, signal: AbortSignal): Promise<AsyncIterable<ServiceEvent>> {
    const query = since === null ? '' : `?since=${encodeURIComponent(since)}`;
    const request = this.#requestOf({ method: 'GET', path: `/events${query}`, headers: { accept: EVENT_STREAM } });
    const answer = await successful(await open({ ...request, signal, idleMsMax: EVENT_SILENCE_MS_MAX }));
    if (!String(answer.headers['content-type']).startsWith(EVENT_STREAM))
      throw unexpectedAnswer('it is not an event stream');
    return readEvents(answer.chunks);
  }

  /** Sends a line of text and gives the text of the answer while it arrives, without a time limit. */
  async *text(path: string, line: string, signal: AbortSignal): AsyncIterable<Buffer> {
    const headers = { accept: 'text/plain, application/problem+json', 'content-type': 'text/plain; charset=utf-8' };
    const request = { ...this.#requestOf({ method: 'POST', path, headers }), body: line };
    const length = { 'content-length': String(Buffer.byteLength(line)) };
    const idleMsMax = 0;
    yield* (await successful(await open({ ...request, headers: { ...request.headers, ...length }, signal, idleMsMax })))
      .chunks;
  }

  async #exchange(request: Ask): Promise<Answer> {
    const answer = await this.answer(request);
    if (isSuccess(answer)) return answer;
    throw failureOf(answer);
  }

  #exchangeOf(request: Ask): Exchange {
    return { ...this.#requestOf(request), deadlineMs: Math.min(request.deadlineMs ?? ANSWER_MS_MAX, ANSWER_MS_MAX) };
  }

  #requestOf({ method, path, body, headers = {} }: Ask): Omit<Exchange, 'deadlineMs'> {
    const { url, token } = this.#service;
    const bearer = token === null ? {} : { authorization: `Bearer ${token}` };
    return {
      method,
      base: url,
      path,
      headers: { ...headers, ...bearer },
      body: body === undefined ? null : JSON.stringify(body),
      signal: this.#signal,
    };
  }
}

const EVENT_STREAM = 'text/event-stream';

function isSuccess({ status }: Pick<Answer, 'status'>): boolean {
  return status >= 200 && status < 300;
}

async function successful(answer: OpenAnswer): Promise<OpenAnswer> {
  if (isSuccess(answer)) return answer;
  throw failureOf({ ...answer, text: await readText(answer.chunks) });
}

function startRequest(verb: Verb, tag: string | null, request: JobRequest): Ask {
  if (tag === null) return { method: 'POST', path: `/images/${verb}`, body: request };
  const path = `/snapshots/${encodeURIComponent(tag)}`;
  if (verb === 'save') return { method: 'POST', path: '/snapshots', body: { tag, ...request } };
  if (verb === 'delete') return { method: 'DELETE', path, body: request };
  return { method: 'POST', path: `${path}/${verb}`, body: request };
}

/** Statuses of a service, or a proxy before it, that is starting or stopping. */
const PASSING: ReadonlySet<number> = new Set([502, 503, 504]);
const SHUTTING_DOWN = 503;
const NOT_AVAILABLE = 501;

/** The failure that an unsuccessful answer reports. */
export function failureOf(answer: Answer): Failure {
  const { status } = answer;
  const problem = problemOf(answer);
  const report = problem === null ? `status ${status}` : `status ${status}, ${problem.code}: ${problem.detail}`;
  if (PASSING.has(status)) {
    const about = { mayHaveArrived: status !== SHUTTING_DOWN, code: problem?.code ?? null };
    return new ConnectionLost(`the service does not take requests now: ${report}`, about);
  }
  if (problem === null) return unexpectedAnswer(report);
  const isRefusal = (status >= 400 && status < 500) || status === NOT_AVAILABLE;
  return isRefusal ? refused({ status, ...problem }) : failed({ status, ...problem });
}

/** The problem document (RFC 9457) of the answer; null if the answer is something else, such as a page of a proxy. */
function problemOf({ headers, text }: Answer): { readonly code: string; readonly detail: string } | null {
  if (!String(headers['content-type']).startsWith('application/problem+json')) return null;
  const body = parsed(text);
  if (!isRecord(body) || typeof body.code !== 'string') return null;
  return { code: body.code, detail: String(body.detail ?? body.title ?? '') };
}

function bodyOf({ status, text }: Answer): unknown {
  const body = parsed(text);
  if (body === undefined) throw unexpectedAnswer(`status ${status} without JSON`);
  return body;
}

function parsed(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    return undefined;
  }
}

/** The query of the next page from `Link: </snapshots?…>; rel="next"`; null on the last page. */
function nextQuery(link: string | readonly string[] | undefined): string | null {
  const text = typeof link === 'string' ? link : (link?.join(', ') ?? '');
  for (const [, target = '', parameters = ''] of text.matchAll(/<([^>]*)>([^,<]*)/g)) {
    const isNext = /;\s*rel\s*=\s*"?next"?\s*(?:;|$)/i.test(parameters.trimEnd());
    const at = target.indexOf('?');
    if (isNext && at >= 0) return target.slice(at);
  }
  return null;
}
