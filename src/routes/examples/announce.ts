import type { Example } from '../operation.ts';

const at = '2025-06-01T12:00:00.000Z';
const row = {
  id: '1',
  name: '',
  migration: null,
  interfaces: null,
  schedule: { initial: 50, max: 550, rounds: 5, step: 100 },
  'started-at': at,
  'ended-at': null,
  outcome: 'running',
  'rounds-made': 1,
};
const detail = { ...row, rounds: [{ round: 1, at }] };

export const queryAnnouncements: readonly Example[] = [
  {
    name: 'the newest',
    query: { limit: '10' },
    status: 200,
    answer: {
      announcements: [
        {
          ...row,
          name: null,
          migration: '0f8fad5b-d9cb-469f-a165-70867728950e',
          'ended-at': '2025-06-01T12:00:00.800Z',
          outcome: 'completed',
          'rounds-made': 5,
        },
      ],
      next: null,
    },
  },
];

export const announceSelf: readonly Example[] = [
  { name: 'as the parameters say', body: {}, status: 201, answer: detail },
  {
    name: 'two interfaces, three rounds',
    body: { rounds: 3, interfaces: ['vn2', 'vn3'], id: 'bob' },
    status: 201,
    answer: {
      ...detail,
      name: 'bob',
      interfaces: ['vn2', 'vn3'],
      schedule: { initial: 50, max: 550, rounds: 3, step: 100 },
    },
  },
];

export const queryAnnouncement: readonly Example[] = [
  { name: 'one', params: { id: '1' }, status: 200, answer: detail },
];
