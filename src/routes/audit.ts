import * as commands from '../commands/audit.ts';
import { AuditPage } from '../commands/schemas/audit.ts';
import * as examples from './examples/audit.ts';
import { LINK, sendPage } from './http/answers.ts';
import type { Operation } from './operation.ts';

export const auditOperations: readonly Operation[] = [
  {
    method: 'GET',
    path: '/audit',
    id: 'queryAudit',
    tag: 'service',
    command: commands.queryAudit,
    description:
      'Every command that needs an operator, and what viewers were refused: who asked for it, when, and how it ended. ' +
      'The newest 100000 are kept, and the newest 10000 refusals.',
    input: 'query',
    replies: { 200: { description: 'A page of the trail.', schema: AuditPage, headers: LINK } },
    errors: ['invalid_cursor', 'wrong_type', 'value_out_of_range'],
    examples: examples.queryAudit,
    handle: sendPage,
  },
];
