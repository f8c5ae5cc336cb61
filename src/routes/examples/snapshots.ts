import type { Example } from '../operation.ts';

const snapshot = {
  tag: 'before-upgrade',
  id: '1',
  date: '2025-06-01T12:00:00.300Z',
  'vm-state-size': 201326592,
  'vm-clock': 61200000000,
  icount: null,
  vmstate: 'disk0',
  nodes: [{ name: 'disk0', id: '1', 'disk-size': 1073741824, 'vm-state-size': 201326592, 'has-digests': true }],
  consistent: true,
  'has-digests': true,
  description: 'warm caches, before the upgrade',
  'expires-at': '2025-06-08T12:00:00.300Z',
  'ram-size': 268435456,
  vcpus: 1,
};

const saves = {
  id: 'save-1',
  type: 'snapshot-save',
  status: 'running',
  paused: false,
  'waiting-for': [],
  'current-progress': 0,
  'total-progress': 0,
  outcome: null,
  warnings: [],
  'created-at': '2025-06-01T12:00:00.000Z',
  'started-at': '2025-06-01T12:00:00.001Z',
  'ended-at': null,
  duration: 0,
  details: { tag: 'before-upgrade', vmstate: 'disk0', devices: ['disk0'] },
  result: null,
};
const saved = {
  ...saves,
  status: 'concluded',
  'current-progress': 268435456,
  'total-progress': 268435456,
  outcome: 'completed',
  'ended-at': '2025-06-01T12:00:00.701Z',
  duration: 700,
  result: { tag: 'before-upgrade', 'vm-state-size': 201326592, existed: false },
};

const params = { tag: 'before-upgrade' };

export const querySnapshots: readonly Example[] = [
  { name: 'the newest', query: { limit: '10' }, status: 200, answer: { snapshots: [snapshot], next: null } },
  { name: 'of one node', query: { node: 'disk0' }, status: 200, answer: { snapshots: [snapshot], next: null } },
];

const digests = {
  'ram-blocks': [
    { name: 'vm0.ram', size: 268435456, digest: '5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef' },
  ],
  'device-state': '2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae',
  disk: 'fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9',
};

export const querySnapshot: readonly Example[] = [
  {
    name: 'a whole one',
    params,
    status: 200,
    answer: { ...snapshot, nodes: snapshot.nodes.map((node) => ({ ...node, digests })) },
  },
];

export const snapshotSave: readonly Example[] = [
  { name: 'everything', body: { tag: 'before-upgrade' }, status: 202, answer: saves },
  {
    name: 'named by a key, so that it may be asked for again',
    headers: { 'Idempotency-Key': '8e03978e-40d5-43dd-bc93-6894a57f9324' },
    body: { 'job-id': 'save-1', tag: 'before-upgrade', vmstate: 'disk0', devices: ['disk0'] },
    status: 202,
    answer: saves,
  },
  {
    name: 'and wait for the end',
    headers: { Prefer: 'wait=60' },
    body: { tag: 'before-upgrade' },
    status: 200,
    answer: saved,
  },
];

const loads = { ...saves, id: 'load-1', type: 'snapshot-load' };

export const snapshotLoad: readonly Example[] = [
  { name: 'all of it', params, status: 202, answer: loads },
  { name: 'from one disk', params, body: { vmstate: 'disk0', devices: ['disk0'] }, status: 202, answer: loads },
];

export const snapshotVerify: readonly Example[] = [
  {
    name: 'all of it',
    params,
    headers: { Prefer: 'wait=60' },
    status: 200,
    answer: {
      ...saved,
      id: 'verify-1',
      type: 'snapshot-verify',
      result: {
        'had-digests': true,
        digests: [
          { kind: 'disk', name: 'disk0', digest: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' },
        ],
        'checked-bytes': 201326592,
      },
    },
  },
];

export const snapshotCompact: readonly Example[] = [
  {
    name: 'all images',
    headers: { Prefer: 'wait=60' },
    status: 200,
    answer: {
      ...saved,
      id: 'compact-1',
      type: 'snapshot-compact',
      details: { devices: ['disk0'] },
      result: {
        nodes: [
          {
            name: 'disk0',
            'file-size-before': 5368709120,
            'file-size': 1342177280,
            'disk-usage-before': 1610612736,
            'disk-usage': 1342177280,
            'moved-bytes': 1073741824,
          },
        ],
      },
    },
  },
  {
    name: 'one of them',
    body: { devices: ['disk0'] },
    status: 202,
    answer: { ...saves, id: 'compact-1', type: 'snapshot-compact', details: { devices: ['disk0'] } },
  },
];

export const snapshotDelete: readonly Example[] = [
  {
    name: 'all of it',
    params,
    status: 202,
    answer: {
      ...saves,
      id: 'delete-1',
      type: 'snapshot-delete',
      details: { tag: 'before-upgrade', devices: ['disk0'] },
    },
  },
  {
    name: 'from one node',
    params,
    query: { devices: 'disk0' },
    status: 202,
    answer: {
      ...saves,
      id: 'delete-1',
      type: 'snapshot-delete',
      details: { tag: 'before-upgrade', devices: ['disk0'] },
    },
  },
];
