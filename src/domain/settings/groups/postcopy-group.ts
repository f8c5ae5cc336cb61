import { beforeIncoming, excludes, requires, type SettingsGroup, size } from '../declaration.ts';

/* The guest runs at the target before its memory has arrived. */

export const POSTCOPY = {
  capabilities: {
    'postcopy-ram': {
      isAvailable: false,
      rules: [excludes('postcopy-ram', 'x-ignore-shared'), excludes('postcopy-ram', 'multifd')],
    },
    'postcopy-preempt': {
      isAvailable: false,
      rules: [requires('postcopy-preempt', 'postcopy-ram'), beforeIncoming('postcopy-preempt')],
    },
    'postcopy-blocktime': { isAvailable: false },
    // Postcopy frees source pages after they were sent; precopy cannot, because the guest still needs them.
    'release-ram': { isAvailable: true },
  },
  parameters: {
    'max-postcopy-bandwidth': {
      ...size(0, { unit: 'bytes/s' }),
      description: 'Bytes/s; 0 is unlimited.',
      monitorUnit: null,
    },
  },
  figures: {
    'postcopy-requests': {
      in: 'ram',
      cell: 'postcopyRequests',
      monitor: { label: 'postcopy request count', isHiddenAtZero: true },
    },
    'postcopy-bytes': {
      in: 'ram',
      cell: 'postcopyBytes',
      monitor: { label: 'postcopy ram', unit: 'kbytes', isHiddenAtZero: true },
    },
  },
} as const satisfies SettingsGroup;
