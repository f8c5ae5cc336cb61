import { Type } from 'typebox';
import * as commands from '../commands/colo.ts';
import { COLOStatus } from '../commands/schemas/xen.ts';
import * as examples from './examples/colo.ts';
import type { Operation, Reply } from './operation.ts';
import { PROBLEM_TYPE } from './plugins/problem-details.ts';

const NOT_IN_COLO: Reply = {
  description: 'The machine is not in COLO mode.',
  schema: Type.Object({ status: Type.Integer(), code: Type.String() }),
  type: PROBLEM_TYPE,
};

export const coloOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/colo',
    id: 'queryColoStatus',
    tag: 'migration',
    command: commands.queryColoStatus,
    description: 'COLO is not there yet: the machine is never in it.',
    input: 'query',
    replies: { 200: { description: 'The mode now, and the last one.', schema: COLOStatus } },
    errors: [],
    examples: examples.queryColoStatus,
  },
  {
    method: 'POST',
    path: '/colo/lost-heartbeat',
    id: 'coloLostHeartbeat',
    tag: 'migration',
    command: commands.coloLostHeartbeat,
    description: 'Refused outside COLO, and so always as long as that is not there.',
    input: 'nothing',
    replies: { 200: { description: 'This side takes over.', schema: COLOStatus }, 409: NOT_IN_COLO },
    errors: ['not_in_colo'],
    examples: examples.coloLostHeartbeat,
  },
];
