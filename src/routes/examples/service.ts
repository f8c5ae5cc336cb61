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
