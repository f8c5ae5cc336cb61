import type { Example } from '../operation.ts';

export const queryAudit: readonly Example[] = [
  {
    name: 'the newest',
    query: { limit: '10' },
    status: 200,
    answer: {
      audit: [
        {
          id: 7,
          at: '2025-06-01T12:00:00.000Z',
          door: 'http',
          caller: 'token-9f86d081',
          address: '192.0.2.7',
          'request-id': '0f8fad5b-d9cb-469f-a165-70867728950e',
          command: 'migrate',
          arguments: '{"uri":"tcp:192.0.2.9:4444"}',
          outcome: 'succeeded',
          code: null,
          'duration-ms': 1.4,
        },
      ],
      next: null,
    },
  },
];
