import type { Example } from '../operation.ts';

export const health: readonly Example[] = [{ name: 'it lives', status: 200, answer: { status: 'ok' } }];

export const readiness: readonly Example[] = [
  { name: 'it can work', status: 200, answer: { ready: true, checks: { data: 'ok', service: 'ok', guest: 'ok' } } },
];

export const index: readonly Example[] = [
  {
    name: 'links',
    status: 200,
    answer: { name: 'vmferry', documentation: '/docs', openapi: '/openapi.json' },
  },
];

export const openapi: readonly Example[] = [{ name: 'its beginning', status: 200, answer: { openapi: '3.1.0' } }];

export const explainError: readonly Example[] = [
  {
    name: 'a value out of range',
    params: { code: 'value_out_of_range' },
    status: 200,
    answer: '# value_out_of_range\n',
  },
];

export const metrics: readonly Example[] = [
  {
    name: 'some lines of it',
    status: 200,
    answer:
      '# TYPE vmferry_migrations_total counter\nvmferry_migrations_total{direction="outgoing",outcome="completed"} 3\n',
  },
];

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

export const followEvents: readonly Example[] = [
  {
    name: 'from the beginning',
    query: { since: '0' },
    status: 200,
    answer: 'id: 1\nevent: STOP\ndata: {"event":"STOP","timestamp":{"seconds":1748779200,"microseconds":0}}\n\n',
  },
];
