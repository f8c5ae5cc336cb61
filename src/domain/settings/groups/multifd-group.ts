import {
  beforeIncoming,
  excludes,
  isCompressedOrEncrypted,
  needsPlainChannels,
  requires,
  type SettingsGroup,
  uint8,
} from '../declaration.ts';

/* Pages over several channels, compressed or sent without a copy. */

export const MULTIFD = {
  capabilities: {
    multifd: { isAvailable: false, rules: [beforeIncoming('multifd')] },
    'zero-copy-send': {
      isAvailable: false,
      rules: [
        requires('zero-copy-send', 'multifd'),
        excludes('zero-copy-send', 'xbzrle'),
        {
          name: 'zero-copy-send needs plain channels',
          capability: 'zero-copy-send',
          breaks: isCompressedOrEncrypted,
          message: "Capability 'zero-copy-send' works only without multifd-compression and without tls-creds.",
        },
      ],
    },
  },
  parameters: {
    'multifd-channels': uint8(2, { min: 1n }),
    'multifd-compression': {
      type: 'enum',
      typeName: 'MultiFDCompression',
      default: 'none',
      values: ['none', 'zlib', 'zstd'],
      rules: [needsPlainChannels('zero-copy-send'), needsPlainChannels('mapped-ram')],
    },
    'multifd-zlib-level': uint8(1, { max: 9n }),
    'multifd-qatzip-level': uint8(1, { min: 1n, max: 9n }),
    'multifd-zstd-level': uint8(1, { max: 20n }),
  },
  figures: {
    'multifd-bytes': { in: 'ram', cell: 'multifdBytes', monitor: { label: 'multifd bytes', unit: 'kbytes' } },
    'dirty-sync-missed-zero-copy': {
      in: 'ram',
      cell: 'dirtySyncMissedZeroCopy',
      monitor: { label: 'Zero-copy-send fallbacks happened', unit: 'times', isHiddenAtZero: true },
    },
  },
} as const satisfies SettingsGroup;
