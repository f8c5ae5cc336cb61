import type { Example } from '../operation.ts';

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
