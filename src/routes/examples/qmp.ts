import type { Example } from '../operation.ts';

export const qmp: readonly Example[] = [
  {
    name: 'a query',
    body: { execute: 'query-status', id: 'a' },
    status: 200,
    answer: { return: { running: true, status: 'running' }, id: 'a' },
  },
  {
    name: 'a command with arguments',
    body: { execute: 'migrate-set-parameters', arguments: { 'downtime-limit': 500 } },
    status: 200,
    answer: { return: {} },
  },
  {
    name: 'a command that is refused',
    body: { execute: 'job-cancel', arguments: { id: 'save-1' } },
    status: 200,
    answer: { error: { class: 'GenericError', desc: "There is no job 'save-1'." } },
  },
];
