import { ConnectionLost, type Failure, failed, refused, unexpectedAnswer } from './client-failure.ts';
import { decodeJob, type Job } from './client-job.ts';
import { readEvents, type ServiceEvent } from './event-reader.ts';
import { type Answer, type Exchange, exchange, type OpenAnswer, open, readText } from './http-exchange.ts';
import { isRecord, parseExactJson } from './json-values.ts';

/* The service as the commands see it. One request each; what to do when a connection is lost is for the callers. */

const ANSWER_MS_MAX = 30_000;
/** Of the largest pages: more than a service keeps of anything. */
const PAGES_MAX = 1000;
const PAGE_ENTRIES = 1000;
/** Lists whose pages have a length. */
const PAGED: ReadonlySet<string> = new Set(['/jobs/history', '/snapshots', '/migrations', '/audit']);
/** Longer than the service's event stream is ever silent. */
const EVENT_SILENCE_MS_MAX = 60_000;

export type Service = { readonly url: URL; readonly token: string | null };

export type Ask = Pick<Exchange, 'method' | 'path'> & {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
};

/** What a snapshot job is asked for; what is left out the service chooses. */
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

/** What a request has begun, or an earlier one with the same key: then the answer is that one's. */
export type Started<Work> = { readonly work: Work; readonly wasReplayed: boolean };

export class ServiceClient {
  readonly #service: Service;
  readonly #signal: AbortSignal | null;

  /** A signal breaks off whatever request is under way. */
  constructor(service: Service, signal: AbortSignal | null) {
    this.#service = service;
    this.#signal = signal;
  }

  /** One request and the JSON of its answer. @throws Failure for every answer that is no success. */
  async ask(request: Ask): Promise<unknown> {
    return bodyOf(await this.#exchange(request));
  }

  async get(path: string): Promise<unknown> {
    return await this.ask({ method: 'GET', path });
  }

  /** The answer must be an object. */
  async record(request: Ask): Promise<Readonly<Record<string, unknown>>> {
    const body = await this.ask(request);
    if (!isRecord(body)) throw unexpectedAnswer(`${request.method} ${request.path} gives an object`);
    return body;
  }

  /** Removes what a path names; the answer has no body. */
  async remove(path: string): Promise<void> {
    await this.#exchange({ method: 'DELETE', path });
  }

  /** The answer as it is, whatever its status, where the path has its own way to tell of errors. */
  async answer(request: Ask): Promise<Answer> {
    return await exchange(this.#exchangeOf(request));
  }

  /** The answer of `GET /readyz`, which has a status of its own while the service is not ready. */
  async readiness(): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.answer({ method: 'GET', path: '/readyz' });
    const body = parsed(answer.text);
    if (isRecord(body) && typeof body.ready === 'boolean') return body;
    throw isSuccess(answer) ? unexpectedAnswer('readiness was asked for') : failureOf(answer);
  }

  /** All entries of all pages, as the service gives them, the largest that there are. */
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
      if (!Array.isArray(list) || !list.every(isRecord)) throw unexpectedAnswer(`a list of ${member} was asked for`);
      found.push(...list);
      const next = nextQuery(answer.headers.link);
      if (next === null) return found;
      query = next;
    }
    throw unexpectedAnswer(`the list of ${member} has more than ${PAGES_MAX} pages`);
  }

  /** Starts a job. The same key with the same request gives the same job, however often it is sent. */
  async start(verb: Verb, tag: string | null, request: JobRequest, idempotencyKey: string): Promise<Started<Job>> {
    const { work, wasReplayed } = await this.askOnce(startRequest(verb, tag, request), idempotencyKey);
    return { work: decodeJob(work), wasReplayed };
  }

  /** One request that begins something at most once. @throws Failure for every answer that is no success. */
  async askOnce(request: Ask, idempotencyKey: string): Promise<Started<unknown>> {
    const answer = await this.#exchange({ ...request, headers: { 'idempotency-key': idempotencyKey } });
    return { work: bodyOf(answer), wasReplayed: answer.headers['idempotency-replayed'] === 'true' };
  }

  async job(id: string, deadlineMs: number): Promise<Job> {
    const path = `/jobs/${encodeURIComponent(id)}`;
    return decodeJob(await this.ask({ method: 'GET', path, deadlineMs }));
  }

  /** Whether the cancel won shows in the job. */
  async cancelJob(id: string): Promise<void> {
    await this.ask({ method: 'POST', path: `/jobs/${encodeURIComponent(id)}/cancel` });
  }

  /**
   * Events as they happen, after the one with the given number; null: from when this resolves. Ends when the service
   * says so.
   */
  async events(since: string | null, signal: AbortSignal): Promise<AsyncIterable<ServiceEvent>> {
    const query = since === null ? '' : `?since=${encodeURIComponent(since)}`;
    const request = this.#requestOf({ method: 'GET', path: `/events${query}`, headers: { accept: EVENT_STREAM } });
    const answer = await successful(await open({ ...request, signal, idleMsMax: EVENT_SILENCE_MS_MAX }));
    if (!String(answer.headers['content-type']).startsWith(EVENT_STREAM)) throw unexpectedAnswer('no event stream');
    return readEvents(answer.chunks);
  }

  /** Sends a line of text and gives the text of its answer as it comes, however long that takes. */
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

/** @param tag null where the work is on images, not on a snapshot. */
function startRequest(verb: Verb, tag: string | null, request: JobRequest): Ask {
  if (tag === null) return { method: 'POST', path: `/images/${verb}`, body: request };
  const path = `/snapshots/${encodeURIComponent(tag)}`;
  if (verb === 'save') return { method: 'POST', path: '/snapshots', body: { tag, ...request } };
  if (verb === 'delete') return { method: 'DELETE', path, body: request };
  return { method: 'POST', path: `${path}/${verb}`, body: request };
}

/** Statuses that say that a service, or what stands before it, is coming or going. */
const PASSING: ReadonlySet<number> = new Set([502, 503, 504]);
const SHUTTING_DOWN = 503;
const NOT_AVAILABLE = 501;

/** Why an answer that is no success is none. */
export function failureOf(answer: Answer): Failure {
  const { status } = answer;
  const problem = problemOf(answer);
  const said = problem === null ? `status ${status}` : `status ${status}, ${problem.code}: ${problem.detail}`;
  if (PASSING.has(status)) {
    const about = { mayHaveArrived: status !== SHUTTING_DOWN, code: problem?.code ?? null };
    return new ConnectionLost(`the service does not take requests now: ${said}`, about);
  }
  if (problem === null) return unexpectedAnswer(said);
  const isRefusal = (status >= 400 && status < 500) || status === NOT_AVAILABLE;
  return isRefusal ? refused({ status, ...problem }) : failed({ status, ...problem });
}

/** RFC 9457's body with the service's code; null if the answer is something else, such as a proxy's page. */
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

/** The query of the next page from `Link: </snapshots?…>; rel="next"`; the path stays ours. */
function nextQuery(link: string | readonly string[] | undefined): string | null {
  const text = typeof link === 'string' ? link : (link?.join(', ') ?? '');
  for (const [, target = '', parameters = ''] of text.matchAll(/<([^>]*)>([^,<]*)/g)) {
    const isNext = /;\s*rel\s*=\s*"?next"?\s*(?:;|$)/i.test(parameters.trimEnd());
    const at = target.indexOf('?');
    if (isNext && at >= 0) return target.slice(at);
  }
  return null;
}
