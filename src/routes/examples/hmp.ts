import type { Example } from '../operation.ts';

const headers = { 'content-type': 'text/plain' };

export const runMonitorLine: readonly Example[] = [
  { name: 'run state', headers, body: 'info status', status: 200, answer: 'VM status: running\n' },
  { name: 'a setting', headers, body: 'migrate_set_parameter max-bandwidth 1G', status: 200, answer: '' },
];

export const completeMonitorLine: readonly Example[] = [
  {
    name: 'a parameter',
    query: { line: 'migrate_set_parameter max-b' },
    status: 200,
    answer: { completions: ['max-bandwidth'] },
  },
];
