import type { Example } from '../operation.ts';

const stats = {
  transferred: 134217728,
  remaining: 8388608,
  total: 268435456,
  duplicate: 49152,
  normal: 16384,
  'normal-bytes': 67108864,
  'dirty-pages-rate': 4882,
  mbps: 1073.7,
  'dirty-sync-count': 2,
  'postcopy-requests': 0,
  'page-size': 4096,
  'multifd-bytes': 0,
  'pages-per-second': 262144,
  'precopy-bytes': 134217728,
  'downtime-bytes': 0,
  'postcopy-bytes': 0,
  'dirty-sync-missed-zero-copy': 0,
};
const active = {
  status: 'active',
  ram: stats,
  'total-time': 1240,
  'expected-downtime': 63,
  'setup-time': 4,
};
const started = {
  id: '73d8b038-1928-47b4-a39b-6592bcff6398',
  direction: 'outgoing',
  uri: 'tcp:127.0.0.1:4444',
  status: 'setup',
  'started-at': '2025-06-01T12:00:00.000Z',
  'ended-at': null,
  error: null,
  guest: null,
  note: null,
  'shared-id': null,
  transferred: null,
  'total-time': null,
  downtime: null,
};

export const queryMigrate: readonly Example[] = [{ name: 'a migration under way', status: 200, answer: active }];

export const migrate: readonly Example[] = [
  { name: 'to another service over TCP', body: { uri: 'tcp:127.0.0.1:4444' }, status: 202, answer: started },
  {
    name: 'the same in the structured form',
    body: {
      channels: [
        {
          'channel-type': 'main',
          addr: { transport: 'socket', type: 'inet', host: '127.0.0.1', port: '4444' },
        },
      ],
    },
    status: 202,
    answer: started,
  },
];

export const migrateCancel: readonly Example[] = [
  { name: 'cancel what runs', status: 200, answer: { outcome: 'cancelled' } },
];

export const migrateContinue: readonly Example[] = [
  { name: 'go on to the switchover', body: { state: 'pre-switchover' }, status: 200, answer: { status: 'device' } },
];

export const migrateIncoming: readonly Example[] = [
  {
    name: 'listen on a port of the system’s choice',
    body: { uri: 'tcp:127.0.0.1:0' },
    status: 202,
    answer: { ...started, direction: 'incoming', uri: 'tcp:127.0.0.1:0' },
  },
];

export const stopListening: readonly Example[] = [{ name: 'stop to listen', status: 204 }];

export const migratePause: readonly Example[] = [
  { name: 'nothing to pause', status: 409, answer: { status: 409, code: 'not_in_postcopy' } },
];

export const migrateRecover: readonly Example[] = [
  {
    name: 'nothing to recover',
    body: { uri: 'tcp:127.0.0.1:4444' },
    status: 409,
    answer: { status: 409, code: 'not_postcopy_paused' },
  },
];

export const migrateStartPostcopy: readonly Example[] = [
  { name: 'post-copy is off', status: 409, answer: { status: 409, code: 'postcopy_not_enabled' } },
];

export const queryProgress: readonly Example[] = [
  {
    name: 'a migration that will end',
    status: 200,
    answer: {
      status: 'active',
      'first-pass-percent': 100,
      pass: 2,
      verdict: { verdict: 'converging', reason: 'The guest dirties 20 MB/s and 134 MB/s are sent.' },
      rate: 134217728,
      'dirty-rate': 20000000,
      remaining: 8388608,
      'expected-downtime': 63,
      'downtime-limit': 300,
      'time-to-go': { min: 60, max: 400 },
      'time-to-go-unknown': null,
    },
  },
];

const capabilities = [
  { capability: 'events', state: true },
  { capability: 'return-path', state: true },
];
const parameters = { 'max-bandwidth': 1000000000, 'downtime-limit': 300, 'multifd-channels': 2 };

export const queryCapabilities: readonly Example[] = [{ name: 'all (shortened)', status: 200, answer: capabilities }];

export const setCapabilities: readonly Example[] = [
  { name: 'switch events and the return path on', body: { capabilities }, status: 200, answer: capabilities },
];

export const queryParameters: readonly Example[] = [{ name: 'all (shortened)', status: 200, answer: parameters }];

export const setParameters: readonly Example[] = [
  {
    name: 'one gigabyte a second, 300 ms of downtime',
    body: { 'max-bandwidth': 1000000000, 'downtime-limit': 300 },
    status: 200,
    answer: parameters,
  },
];

const blocker = { id: '1', reason: 'A backup is being made.' };

export const queryBlockers: readonly Example[] = [
  { name: 'one', status: 200, answer: { blockers: [blocker], 'only-migratable': false } },
];

export const addBlocker: readonly Example[] = [
  { name: 'a backup', body: { reason: blocker.reason }, status: 201, answer: blocker },
];

export const removeBlocker: readonly Example[] = [{ name: 'the backup is done', params: { id: '1' }, status: 204 }];

const sound = { error: false };

export const xenSaveDevicesState: readonly Example[] = [
  {
    name: 'into a file',
    body: { filename: 'devices.bin' },
    status: 200,
    answer: { filename: 'devices.bin', bytes: 5120, sections: 7 },
  },
];

export const xenLoadDevicesState: readonly Example[] = [
  { name: 'from that file', body: { filename: 'devices.bin' }, status: 200, answer: {} },
];

export const xenSetGlobalDirtyLog: readonly Example[] = [
  { name: 'on', body: { enable: true }, status: 200, answer: {} },
];

export const xenSetReplication: readonly Example[] = [
  { name: 'as a secondary', body: { enable: true, primary: false }, status: 200, answer: sound },
];

export const queryXenReplicationStatus: readonly Example[] = [{ name: 'no error', status: 200, answer: sound }];

export const xenColoDoCheckpoint: readonly Example[] = [{ name: 'a checkpoint', status: 200, answer: sound }];

export const queryColoStatus: readonly Example[] = [
  { name: 'never in COLO', status: 200, answer: { mode: 'none', 'last-mode': 'none', reason: 'none' } },
];

export const coloLostHeartbeat: readonly Example[] = [
  { name: 'no peer', status: 409, answer: { status: 409, code: 'not_in_colo' } },
];
