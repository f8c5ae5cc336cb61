import type { FastifyReply } from 'fastify';
import type { Command } from '../commands/command.ts';
import * as commands from '../commands/jobs.ts';
import { Job, JobList, JobPage } from '../commands/schemas/jobs.ts';
import { jobEnded, watchJobs } from '../commands/waiting.ts';
import * as examples from './examples/jobs.ts';
import {
  LINK,
  NOT_MODIFIED,
  STATUS_CONDITIONAL_HEADERS,
  sendPage,
  sendWeaklyTagged,
  TAGGED,
  WAIT_GRANTED,
  waitOf,
} from './http/answers.ts';
import type { Call, Example, Operation } from './operation.ts';
import { sendJson } from './register.ts';

const UNTIL_ENDED = 'wait=SECONDS (at most 60): the service answers when the job has ended';
const AS_IT_IS = { description: 'The current state of the job.', schema: Job };

export const jobsOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/jobs',
    id: 'queryJobs',
    tag: 'jobs',
    command: commands.queryAllJobs,
    covers: [commands.queryJobs],
    description:
      'Lists the jobs, newest first: all waiting and running jobs, and the newest 100 concluded jobs that were not dismissed. ' +
      'This request is cheap.',
    input: 'query',
    headers: STATUS_CONDITIONAL_HEADERS,
    replies: { 200: { description: 'The current jobs.', schema: JobList, headers: TAGGED }, 304: NOT_MODIFIED },
    errors: [],
    examples: examples.queryJobs,
    handle: (call) => sendWeaklyTagged(call, watchJobs(call.context.domain)),
  },
  {
    method: 'GET',
    path: '/jobs/history',
    id: 'queryJobHistory',
    tag: 'jobs',
    command: commands.queryJobHistory,
    description:
      'Lists jobs that have ended, dismissed or not. Running jobs are not included. With started-after or started-before, the ' +
      'list has the jobs that started in this time, in the order of their starts.',
    input: 'query',
    replies: { 200: { description: 'A page of jobs.', schema: JobPage, headers: LINK } },
    errors: ['invalid_cursor', 'wrong_type', 'value_out_of_range'],
    examples: examples.queryJobHistory,
    handle: sendPage,
  },
  {
    method: 'GET',
    path: '/jobs/:id',
    id: 'queryJob',
    tag: 'jobs',
    command: commands.queryJob,
    description: 'Returns the newest job with this id.',
    input: 'query',
    headers: {
      ...STATUS_CONDITIONAL_HEADERS,
      Prefer: `${UNTIL_ENDED}; with If-None-Match, the service answers when something changes (until=status: when the status changes).`,
    },
    replies: { 200: { description: 'The current state of the job.', schema: Job, headers: TAGGED }, 304: NOT_MODIFIED },
    errors: ['job_not_found'],
    examples: examples.queryJob,
    handle: sendJob,
  },
  verb(commands.jobCancel, {
    id: 'jobCancel',
    description:
      'A waiting job ends at once. A running job undoes its work so far. If the work was complete before the cancel, it stays; ' +
      'outcome tells which of both happened.',
    headers: { Prefer: `${UNTIL_ENDED}.` },
    replies: { 200: { ...AS_IT_IS, headers: WAIT_GRANTED } },
    errors: ['job_not_cancellable'],
    examples: examples.jobCancel,
    handle: sendCancelled,
  }),
  verb(commands.jobPause, {
    id: 'jobPause',
    description: 'A paused job keeps its locks. A waiting job does not start until it is resumed.',
    examples: examples.jobPause,
  }),
  verb(commands.jobResume, {
    id: 'jobResume',
    description: 'Continues a paused job.',
    examples: examples.jobResume,
  }),
  verb(commands.jobComplete, {
    id: 'jobComplete',
    description: 'Ends a job in the status ready. Snapshot jobs complete automatically.',
    examples: examples.jobComplete,
  }),
  verb(commands.jobFinalize, {
    id: 'jobFinalize',
    description: 'Ends a job in the status pending. Snapshot jobs are finalized automatically.',
    examples: examples.jobFinalize,
  }),
  verb(commands.jobDismiss, {
    id: 'jobDismiss',
    description: 'Removes an ended job from the list. Then its id can be used again.',
    examples: examples.jobDismiss,
  }),
];

type Verb = Partial<Operation> & { readonly id: string; readonly examples: readonly Example[] };

/** The operation `POST /jobs/ID/VERB` for the command `job-VERB`. */
function verb(command: Command, { errors = [], ...rest }: Verb): Operation {
  return {
    method: 'POST',
    path: `/jobs/:id/${command.name.replace('job-', '')}`,
    tag: 'jobs',
    command,
    input: 'nothing',
    replies: { 200: AS_IT_IS },
    errors: ['job_not_found', 'job_verb_not_allowed', ...errors],
    ...rest,
  };
}

async function sendJob(call: Call): Promise<FastifyReply> {
  const isConditional = call.request.headers['if-none-match'] !== undefined;
  // This also answers 404 for a missing job before a tag is computed.
  await endOf(call, isConditional ? 0 : (waitOf(call) ?? 0));
  return sendWeaklyTagged(call, watchJobs(call.context.domain));
}

async function sendCancelled(call: Call): Promise<FastifyReply> {
  const cancelled = await call.run();
  const wait = waitOf(call);
  return sendJson(call.reply, wait === null ? cancelled : await endOf(call, wait));
}

async function endOf(call: Call, waitSeconds: number): Promise<unknown> {
  const { id } = call.request.params as { readonly id: string };
  const { job } = await jobEnded(call.context.domain, id, { timeoutMs: waitSeconds * 1000, signal: call.signal });
  return job;
}
