import type { FastifyReply } from 'fastify';
import * as commands from '../commands/dirty-rate.ts';
import { DirtyLimitInfoList, DirtyRateInfo, MigrationThreadInfoList } from '../commands/schemas/dirty-rate.ts';
import { dirtyRateMeasured } from '../commands/waiting.ts';
import * as examples from './examples/machine.ts';
import { WAIT_GRANTED, waitOf } from './http/answers.ts';
import type { Call, Operation } from './operation.ts';
import { sendJson } from './register.ts';

const PLACE = '/dirty-rate';
const RESULT_PLACE = { Location: 'Path of the result.' };
const QUERY_ERRORS = ['wrong_type', 'value_out_of_range'] as const;

export const dirtyRateOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: PLACE,
    id: 'queryDirtyRate',
    tag: 'machine',
    command: commands.queryDirtyRate,
    description: 'While a measurement runs, status is measuring and the rate is absent.',
    input: 'query',
    replies: { 200: { description: 'The newest measurement.', schema: DirtyRateInfo } },
    errors: QUERY_ERRORS,
    examples: examples.queryDirtyRate,
  },
  {
    method: 'POST',
    path: PLACE,
    id: 'calcDirtyRate',
    tag: 'machine',
    command: commands.calcDirtyRate,
    description: 'Only one measurement can run at a time. docs/dirty-rate.md explains what each mode counts.',
    input: 'body',
    headers: { Prefer: 'wait=SECONDS (at most 60): the service answers when the measurement has ended.' },
    replies: {
      200: {
        description: 'With Prefer: wait: the measurement has ended.',
        schema: DirtyRateInfo,
        headers: { ...RESULT_PLACE, ...WAIT_GRANTED },
      },
      202: {
        description: 'The measurement is running.',
        schema: DirtyRateInfo,
        headers: { ...RESULT_PLACE, ...WAIT_GRANTED },
      },
    },
    errors: ['incompatible_parameters', 'dirty_rate_measuring', 'dirty_ring_needed', 'dirty_ring_in_use'],
    examples: examples.calcDirtyRate,
    handle: sendMeasuring,
  },
  {
    method: 'GET',
    path: '/vcpu-dirty-limit',
    id: 'queryVcpuDirtyLimit',
    tag: 'machine',
    command: commands.queryOneVcpuDirtyLimit,
    description: 'The list is empty while no vCPU is limited.',
    input: 'query',
    replies: { 200: { description: 'The limited vCPUs.', schema: DirtyLimitInfoList } },
    errors: QUERY_ERRORS,
    examples: examples.queryVcpuDirtyLimit,
  },
  {
    method: 'PUT',
    path: '/vcpu-dirty-limit',
    id: 'setVcpuDirtyLimit',
    tag: 'machine',
    command: commands.setVcpuDirtyLimit,
    description: 'Only for a synthetic guest that was started with --dirty-ring-size.',
    input: 'body or query',
    replies: { 200: { description: 'All limits after the change.', schema: DirtyLimitInfoList } },
    errors: ['dirty_ring_needed', 'migration_in_progress'],
    examples: examples.setVcpuDirtyLimit,
  },
  {
    method: 'DELETE',
    path: '/vcpu-dirty-limit',
    id: 'cancelVcpuDirtyLimit',
    tag: 'machine',
    command: commands.cancelVcpuDirtyLimit,
    description: 'Has no effect if there is no limit.',
    input: 'query',
    replies: { 200: { description: 'All limits after the change.', schema: DirtyLimitInfoList } },
    errors: [...QUERY_ERRORS, 'migration_in_progress'],
    examples: examples.cancelVcpuDirtyLimit,
  },
  {
    method: 'GET',
    path: '/migrate/threads',
    id: 'queryMigrationthreads',
    tag: 'migration',
    command: commands.queryMigrationThreads,
    description: 'The list is empty while no migration runs.',
    input: 'query',
    replies: { 200: { description: 'The threads of the running migration.', schema: MigrationThreadInfoList } },
    errors: [],
    examples: examples.queryMigrationThreads,
  },
];

async function sendMeasuring(call: Call): Promise<FastifyReply> {
  const measuring = await call.run();
  call.reply.header('location', PLACE);
  const wait = waitOf(call);
  if (wait === null) return sendJson(call.reply.code(202), measuring);
  const unit = (measuring as { readonly 'calc-time-unit': 'second' | 'millisecond' })['calc-time-unit'];
  const { ended, info } = await dirtyRateMeasured(call.context.domain, unit, {
    timeoutMs: wait * 1000,
    signal: call.signal,
  });
  return sendJson(call.reply.code(ended ? 200 : 202), info);
}
