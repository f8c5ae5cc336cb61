import type { Example } from '../operation.ts';

export const followEvents: readonly Example[] = [
  {
    name: 'from the beginning',
    query: { since: '0' },
    status: 200,
    answer: 'id: 1\nevent: STOP\ndata: {"event":"STOP","timestamp":{"seconds":1748779200,"microseconds":0}}\n\n',
  },
];
