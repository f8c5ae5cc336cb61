// A client for the snapshots and jobs of a service over HTTP.

import { expect } from 'vitest';
import type { Reply } from '../app.ts';
import type { Service } from '../guest-service.ts';
import { expectClean } from './qemu-image.ts';

/** The longest wait for the end of a job, in seconds: the maximum of `Prefer: wait`. */
const WAIT_SECONDS = 60;

/** Checks the images of a service. A running guest is stopped during the check, so that it does not write. */
export async function expectCleanWhileQuiet(service: Service, ...images: readonly string[]): Promise<void> {
  const wasRunning = (await service.runState()) === 'running';
  if (wasRunning) await service.post('/stop');
  expectClean(...images);
  if (wasRunning) await service.post('/cont');
}

export type Job = {
  readonly id: string;
  readonly type: string;
  readonly status: string;
  readonly 'current-progress': number;
  readonly 'total-progress': number;
  readonly error?: string;
  readonly 'error-code'?: string;
  readonly outcome: string | null;
  readonly result: Readonly<Record<string, unknown>> | null;
};

export type Digest = { readonly kind: string; readonly name: string; readonly digest: string };
export type Work = 'save' | 'load' | 'delete' | 'verify';
type Options = { readonly [member: string]: unknown };

export class Snapshots {
  readonly service: Service;

  constructor(service: Service) {
    this.service = service;
  }

  /** Requests work on a snapshot; the answer may be a refusal. */
  ask(work: Work, tag: string, options: Options = {}, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    const path = `/snapshots/${encodeURIComponent(tag)}`;
    if (work === 'save') return this.#send('POST', '/snapshots', { tag, ...options }, headers);
    if (work === 'delete') return this.#send('DELETE', path, options, headers);
    return this.#send('POST', `${path}/${work}`, options, headers);
  }

  /** Starts work. @returns the job's id. */
  async start(work: Work, tag: string, options: Options = {}): Promise<string> {
    const reply = await this.ask(work, tag, options);
    expect(reply.status, reply.text).toBe(202);
    return String(reply.headers.location).replace('/jobs/', '');
  }

  /** Runs a job and waits for its end, completed or failed. */
  async run(work: Work, tag: string, options: Options = {}): Promise<Job> {
    return this.ended(await this.start(work, tag, options));
  }

  /** Runs a job and expects that it completes. */
  async does(work: Work, tag: string, options: Options = {}): Promise<Job> {
    const job = await this.run(work, tag, options);
    expect(job, JSON.stringify(job)).toMatchObject({ status: 'concluded' });
    expect(job.error, JSON.stringify(job)).toBeUndefined();
    return job;
  }

  job(id: string): Promise<Job> {
    return this.service.get(`/jobs/${id}`);
  }

  /** Waits for the end of a job. */
  async ended(id: string): Promise<Job> {
    const reply = await this.service.call(`/jobs/${id}`, { headers: { prefer: `wait=${WAIT_SECONDS}` } });
    expect(reply.status, reply.text).toBe(200);
    const job = reply.json as Job;
    expect(job.status, reply.text).toBe('concluded');
    return job;
  }

  /** Waits for a state of a job, by long polls. */
  async until(id: string, holds: (job: Job) => boolean): Promise<Job> {
    for (let tag: string | null = null; ; ) {
      const headers = tag === null ? {} : { 'if-none-match': tag, prefer: `wait=${WAIT_SECONDS}` };
      const reply = await this.service.call(`/jobs/${id}`, { headers: headers as Readonly<Record<string, string>> });
      const job = reply.json as Job;
      if (reply.status === 200 && holds(job)) return job;
      if (reply.status !== 200 || job.status === 'concluded') throw new Error(`in vain: ${reply.status} ${reply.text}`);
      tag = String(reply.headers.etag);
    }
  }

  async tags(): Promise<string[]> {
    const { snapshots } = await this.service.get<{ snapshots: { tag: string }[] }>('/snapshots');
    return snapshots.map(({ tag }) => tag);
  }

  /** The digests of a verification. */
  async digests(tag: string): Promise<readonly Digest[]> {
    const { result } = await this.does('verify', tag);
    return (result as { digests: readonly Digest[] }).digests;
  }

  #send(method: 'POST' | 'DELETE', path: string, body: Options, headers: Readonly<Record<string, string>>) {
    return this.service.call(path, { method, headers, ...(Object.keys(body).length === 0 ? {} : { body }) });
  }
}
