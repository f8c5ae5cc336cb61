import { Type } from 'typebox';
import { CAPABILITIES } from '../../domain/settings/capabilities.ts';
import { Int64, Text } from './common.ts';

/* Capabilities and parameters of the QAPI schema. Ranges are the domain's: here are only names and types. */

const LIST_MAX = 256;
const closed = { additionalProperties: false } as const;

export const MigrationCapability = Type.Unsafe<string>({
  type: 'string',
  enum: [...CAPABILITIES],
  'x-refused-as': 'unknown_capability',
  'x-value-features': { 'zero-blocks': ['deprecated'], 'x-colo': ['unstable'], 'x-ignore-shared': ['unstable'] },
});

export const MigrationCapabilityStatus = Type.Object(
  { capability: MigrationCapability, state: Type.Boolean() },
  closed,
);

export const MigrationCapabilityStatusList = Type.Array(MigrationCapabilityStatus, { maxItems: LIST_MAX });

export const MigrateSetCapabilitiesArguments = Type.Object({ capabilities: MigrationCapabilityStatusList }, closed);

export const MultiFDCompression = Type.Enum(['none', 'zlib', 'zstd']);
export const MigMode = Type.Enum(['normal', 'cpr-reboot', 'cpr-transfer']);
export const ZeroPageDetection = Type.Enum(['none', 'legacy', 'multifd']);

export const BitmapMigrationBitmapAliasTransform = Type.Object({ persistent: Type.Optional(Type.Boolean()) }, closed);

export const BitmapMigrationBitmapAlias = Type.Object(
  { name: Text(), alias: Text(), transform: Type.Optional(BitmapMigrationBitmapAliasTransform) },
  closed,
);

export const BitmapMigrationNodeAlias = Type.Object(
  { 'node-name': Text(), alias: Text(), bitmaps: Type.Array(BitmapMigrationBitmapAlias, { maxItems: LIST_MAX }) },
  closed,
);

const common = {
  'announce-initial': Type.Optional(Int64({ description: 'Milliseconds.' })),
  'announce-max': Type.Optional(Int64({ description: 'Milliseconds.' })),
  'announce-rounds': Type.Optional(Int64()),
  'announce-step': Type.Optional(Int64({ description: 'Milliseconds.' })),
  'throttle-trigger-threshold': Type.Optional(Int64({ description: 'Percent.' })),
  'cpu-throttle-initial': Type.Optional(Int64({ description: 'Percent.' })),
  'cpu-throttle-increment': Type.Optional(Int64({ description: 'Percent.' })),
  'cpu-throttle-tailslow': Type.Optional(Type.Boolean()),
  'max-bandwidth': Type.Optional(Int64({ description: 'Bytes/s; 0 is unlimited.' })),
  'avail-switchover-bandwidth': Type.Optional(Int64({ description: 'Bytes/s; 0: what was measured.' })),
  'downtime-limit': Type.Optional(Int64({ description: 'Milliseconds.' })),
  'x-checkpoint-delay': Type.Optional(Int64({ description: 'Milliseconds.', 'x-features': ['unstable'] })),
  'multifd-channels': Type.Optional(Int64()),
  'xbzrle-cache-size': Type.Optional(Int64({ description: 'Bytes.' })),
  'max-postcopy-bandwidth': Type.Optional(Int64({ description: 'Bytes/s; 0 is unlimited.' })),
  'max-cpu-throttle': Type.Optional(Int64({ description: 'Percent.' })),
  'multifd-compression': Type.Optional(MultiFDCompression),
  'multifd-zlib-level': Type.Optional(Int64()),
  'multifd-qatzip-level': Type.Optional(Int64()),
  'multifd-zstd-level': Type.Optional(Int64()),
  'block-bitmap-mapping': Type.Optional(Type.Array(BitmapMigrationNodeAlias, { maxItems: LIST_MAX })),
  'x-vcpu-dirty-limit-period': Type.Optional(Int64({ description: 'Milliseconds.', 'x-features': ['unstable'] })),
  'vcpu-dirty-limit': Type.Optional(Int64({ description: 'MiB/s.' })),
  mode: Type.Optional(MigMode),
  'zero-page-detection': Type.Optional(ZeroPageDetection),
  'direct-io': Type.Optional(Type.Boolean()),
};

const StrOrNull = Type.Union([Text(), Type.Null()]);

/** query-migrate-parameters' answer. */
export const MigrationParameters = Type.Object({
  ...common,
  'tls-creds': Type.Optional(Type.String()),
  'tls-hostname': Type.Optional(Type.String()),
  'tls-authz': Type.Optional(Type.String()),
});

/** Any of the parameters; what is left out stays as it is. */
export const MigrateSetParameters = Type.Object(
  {
    ...common,
    'tls-creds': Type.Optional(StrOrNull),
    'tls-hostname': Type.Optional(StrOrNull),
    'tls-authz': Type.Optional(StrOrNull),
  },
  closed,
);
