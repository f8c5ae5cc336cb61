import type { Example } from '../operation.ts';

export const metrics: readonly Example[] = [
  {
    name: 'some lines of it',
    status: 200,
    answer:
      '# TYPE vmferry_migrations_total counter\nvmferry_migrations_total{direction="outgoing",outcome="completed"} 3\n',
  },
];
