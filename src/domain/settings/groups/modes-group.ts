import { excludes, type SettingsGroup, uint32 } from '../declaration.ts';
import type { Capability } from '../schema-order.ts';

/* Migrations other than a precopy migration of a running guest. */

const BACKGROUND_SNAPSHOT_EXCLUDES: readonly Capability[] = [
  'postcopy-ram',
  'dirty-bitmaps',
  'postcopy-blocktime',
  'late-block-activate',
  'return-path',
  'multifd',
  'pause-before-switchover',
  'auto-converge',
  'release-ram',
  'rdma-pin-all',
  'xbzrle',
  'x-colo',
  'validate-uuid',
  'zero-copy-send',
];

export const MODES = {
  capabilities: {
    'background-snapshot': {
      isAvailable: false,
      rules: BACKGROUND_SNAPSHOT_EXCLUDES.map((other) => excludes('background-snapshot', other)),
    },
    'x-colo': { isAvailable: false, features: ['unstable'] },
  },
  parameters: {
    mode: {
      type: 'enum',
      typeName: 'MigMode',
      default: 'normal',
      values: ['normal', 'cpr-reboot', 'cpr-transfer'],
      available: ['normal'],
    },
    'x-checkpoint-delay': { ...uint32(20_000, { unit: 'ms' }), features: ['unstable'] },
  },
} as const satisfies SettingsGroup;
