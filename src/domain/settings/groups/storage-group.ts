import { excludes, type SettingsGroup } from '../declaration.ts';

/* Memory and disks in files: a file with a fixed place for each page, shared memory, and the dirty bitmaps of disks. */

export const STORAGE = {
  capabilities: {
    'mapped-ram': {
      isAvailable: false,
      rules: [excludes('mapped-ram', 'xbzrle'), excludes('mapped-ram', 'postcopy-ram')],
    },
    'x-ignore-shared': { isAvailable: false, features: ['unstable'] },
    'dirty-bitmaps': { isAvailable: false },
  },
  parameters: {
    'direct-io': { type: 'bool', default: false, available: [false] },
    'block-bitmap-mapping': { type: 'bitmap-mapping', default: null },
  },
} as const satisfies SettingsGroup;
