import { type SettingsGroup, size } from '../declaration.ts';

/* The passes over the guest's memory: their rate, their zero pages, and the events and checks of every migration. */

export const PRECOPY = {
  capabilities: {
    events: { isAvailable: true },
    'zero-blocks': { isAvailable: true, features: ['deprecated'] },
    'validate-uuid': { isAvailable: true },
    'rdma-pin-all': { isAvailable: false },
  },
  parameters: {
    'max-bandwidth': {
      ...size(128 * 1024 * 1024, { unit: 'bytes/s' }),
      description: 'Bytes/s; 0 is unlimited.',
      monitorUnit: 'bytes/second',
      isInMebibytes: true,
      monitorMax: 2n ** 63n - 1n,
    },
    'zero-page-detection': {
      type: 'enum',
      typeName: 'ZeroPageDetection',
      default: 'multifd',
      values: ['none', 'legacy', 'multifd'],
    },
  },
} as const satisfies SettingsGroup;
