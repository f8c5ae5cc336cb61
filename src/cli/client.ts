import { isRecord, parseExactJson } from './exact-json.ts';
import { ConnectionLost, type Failure, refused, unexpectedAnswer } from './failure.ts';
import { type Answer, type Exchange, exchange } from './http.ts';
import { decodeJob, type Job } from './job.ts';

/* The service as the commands see it. One request each; what to do when a connection is lost is for the callers. */

const ANSWER_MS_MAX = 30_000;
const PAGES_MAX = 1000;

type Request = Pick<Exchange, 'method' | 'path'> & {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly deadlineMs?: number;
};

/** What a snapshot job is asked for; what is left out the service chooses. */
export type JobRequest = {
  readonly vmstate?: string;
  readonly devices?: readonly string[];
  readonly 'job-id'?: string;
};

export type Verb = 'save' | 'load' | 'delete' | 'verify';

export class ServiceClient {
  readonly #base: URL;
  readonly #token: string | null;
  readonly #signal: AbortSignal | null;

  /** A signal breaks off whatever request is under way. */
  constructor(base: URL, options: { readonly token: string | null; readonly signal: AbortSignal | null }) {
    this.#base = base;
    this.#token = options.token;
    this.#signal = options.signal;
  }

  /** Starts a job. The same key with the same request gives the same job, however often it is sent. */
  async start(verb: Verb, tag: string, request: JobRequest, idempotencyKey: string): Promise<Job> {
    const headers = { 'idempotency-key': idempotencyKey };
    return decodeJob(await this.#ask({ ...startRequest(verb, tag, request), headers }));
  }

  async job(id: string, deadlineMs: number): Promise<Job> {
    const path = `/jobs/${encodeURIComponent(id)}`;
    return decodeJob(await this.#ask({ method: 'GET', path, deadlineMs: Math.min(deadlineMs, ANSWER_MS_MAX) }));
  }

  /** Whether the cancel won shows in the job. */
  async cancelJob(id: string): Promise<void> {
    await this.#ask({ method: 'POST', path: `/jobs/${encodeURIComponent(id)}/cancel` });
  }

  /** All snapshots of all pages, as the service gives them. */
  async snapshots(): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const found: Readonly<Record<string, unknown>>[] = [];
    let query = '';
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const answer = await this.#exchange({ method: 'GET', path: `/snapshots${query}` });
      const body = bodyOf(answer);
      const list = isRecord(body) ? body.snapshots : null;
      if (!Array.isArray(list) || !list.every(isRecord)) throw unexpectedAnswer('a list of snapshots was asked for');
      found.push(...list);
      const next = nextQuery(answer.headers.link);
      if (next === null) return found;
      query = next;
    }
    throw unexpectedAnswer(`the list of snapshots has more than ${PAGES_MAX} pages`);
  }

  async snapshot(tag: string): Promise<Readonly<Record<string, unknown>>> {
    const body = await this.#ask({ method: 'GET', path: `/snapshots/${encodeURIComponent(tag)}` });
    if (!isRecord(body)) throw unexpectedAnswer('a snapshot was asked for');
    return body;
  }

  async #ask(request: Request): Promise<unknown> {
    return bodyOf(await this.#exchange(request));
  }

  /** @throws Failure for every answer that is no success. */
  async #exchange({ method, path, body, headers = {}, deadlineMs = ANSWER_MS_MAX }: Request): Promise<Answer> {
    const token = this.#token === null ? {} : { authorization: `Bearer ${this.#token}` };
    const answer = await exchange({
      method,
      base: this.#base,
      path,
      headers: { ...headers, ...token },
      body: body === undefined ? null : JSON.stringify(body),
      deadlineMs,
      signal: this.#signal,
    });
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw failureOf(answer);
  }
}

function startRequest(verb: Verb, tag: string, request: JobRequest): Request {
  const path = `/snapshots/${encodeURIComponent(tag)}`;
  if (verb === 'save') return { method: 'POST', path: '/snapshots', body: { tag, ...request } };
  if (verb === 'delete') return { method: 'DELETE', path, body: request };
  return { method: 'POST', path: `${path}/${verb}`, body: request };
}

/** Statuses that say that a service, or what stands before it, is coming or going. */
const PASSING: ReadonlySet<number> = new Set([502, 503, 504]);
const SHUTTING_DOWN = 503;
const NOT_AVAILABLE = 501;

function failureOf(answer: Answer): Failure {
  const { status } = answer;
  const problem = problemOf(answer);
  const said = problem === null ? `status ${status}` : `status ${status}, ${problem.code}: ${problem.detail}`;
  if (PASSING.has(status)) {
    const about = { mayHaveArrived: status !== SHUTTING_DOWN, code: problem?.code ?? null };
    return new ConnectionLost(`the service does not take requests now: ${said}`, about);
  }
  const isRefusal = (status >= 400 && status < 500) || status === NOT_AVAILABLE;
  return isRefusal && problem !== null ? refused({ status, ...problem }) : unexpectedAnswer(said);
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
