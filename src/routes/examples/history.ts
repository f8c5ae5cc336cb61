import type { Example } from '../operation.ts';

const migration = {
  id: '73d8b038-1928-47b4-a39b-6592bcff6398',
  direction: 'outgoing',
  uri: 'tcp:127.0.0.1:4444',
  status: 'completed',
  'started-at': '2025-06-01T12:00:00.000Z',
  'ended-at': '2025-06-01T12:00:02.100Z',
  error: null,
  guest: 'there',
  note: null,
  'shared-id': '73d8b038-1928-47b4-a39b-6592bcff6398',
  transferred: 142606336,
  'total-time': 2100,
  downtime: 41,
};

export const queryMigrations: readonly Example[] = [
  { name: 'the newest', query: { limit: '10' }, status: 200, answer: { migrations: [migration], next: null } },
];

export const queryMigration: readonly Example[] = [
  {
    name: 'one that completed',
    params: { id: '73d8b038-1928-47b4-a39b-6592bcff6398' },
    status: 200,
    answer: {
      ...migration,
      settings: { capabilities: ['events'], parameters: { 'downtime-limit': 300 } },
      result: { status: 'completed', 'total-time': 2100, downtime: 41, 'setup-time': 4 },
      passes: [
        {
          pass: 1,
          'started-ms': 4,
          'duration-ms': 1900,
          'sent-bytes': 134217728,
          'normal-pages': 16384,
          'duplicate-pages': 49152,
          'dirty-bytes': 8388608,
        },
      ],
    },
  },
];

export const querySamples: readonly Example[] = [
  {
    name: 'its beginning',
    params: { id: '73d8b038-1928-47b4-a39b-6592bcff6398' },
    query: { limit: '1' },
    status: 200,
    answer: {
      samples: [
        {
          'at-ms': 100,
          status: 'active',
          'transferred-bytes': 13421772,
          'remaining-bytes': 255013684,
          bandwidth: 134217728,
          'dirty-pages-rate': 0,
          'expected-downtime-ms': 300,
          pass: 1,
        },
      ],
      next: 'MTAw',
    },
  },
];

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
