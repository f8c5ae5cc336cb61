import { requires, type SettingsGroup, size, uint64 } from '../declaration.ts';

/* The moment at which the guest leaves the source and arrives at the target, and its announcement in the network. */

/** Longest downtime that may be set, in milliseconds. */
const DOWNTIME_LIMIT_MS_MAX = 2_000_000n;

export const SWITCHOVER = {
  capabilities: {
    'return-path': { isAvailable: true },
    'pause-before-switchover': { isAvailable: true },
    'late-block-activate': { isAvailable: true },
    'switchover-ack': { isAvailable: true, rules: [requires('switchover-ack', 'return-path')] },
  },
  parameters: {
    'downtime-limit': { ...uint64(300, { max: DOWNTIME_LIMIT_MS_MAX, unit: 'ms' }), isLive: true },
    'avail-switchover-bandwidth': {
      ...size(0, { unit: 'bytes/s' }),
      description: 'Bytes/s; 0: what was measured.',
      monitorUnit: 'bytes/second',
      isInMebibytes: true,
      monitorMax: 2n ** 63n - 1n,
      isLive: true,
    },
    'announce-initial': size(50, { max: 100_000n, unit: 'ms' }),
    'announce-max': size(550, { max: 100_000n, unit: 'ms' }),
    'announce-rounds': size(5, { max: 1000n }),
    'announce-step': size(100, { min: 1n, max: 10_000n, unit: 'ms' }),
  },
  figures: {
    'expected-downtime': {
      in: 'info',
      cell: 'expectedDowntimeMs',
      description: 'Milliseconds.',
      shown: 'before-handover',
      monitor: { label: 'expected downtime', unit: 'ms' },
    },
    downtime: {
      in: 'info',
      time: 'downtimeMs',
      description: 'Milliseconds.',
      shown: 'after-handover',
      monitor: { label: 'downtime', unit: 'ms' },
    },
    'downtime-bytes': {
      in: 'ram',
      cell: 'downtimeBytes',
      monitor: { label: 'downtime ram', unit: 'kbytes', isHiddenAtZero: true },
    },
  },
} as const satisfies SettingsGroup;
