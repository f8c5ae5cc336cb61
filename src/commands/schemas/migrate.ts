import { Type } from 'typebox';
import { CANCEL_OUTCOMES } from '../../domain/migration/lifecycle.ts';
import { MIGRATION_STATUSES } from '../../domain/migration/status.ts';
import { MigrationChannelList, SocketAddress } from './address.ts';
import { Int64, Text } from './common.ts';

/* Types of the QAPI schema around `migrate` and `query-migrate`, and what vmferry adds to them. */

const closed = { additionalProperties: false } as const;

export const MigrationStatus = Type.Enum([...MIGRATION_STATUSES]);

export const MigrationStats = Type.Object({
  transferred: Int64({ description: 'Bytes sent.' }),
  remaining: Int64({ description: 'Bytes known to be dirty and not yet sent.' }),
  total: Int64({ description: 'Bytes of guest RAM.' }),
  duplicate: Int64({ description: 'Zero pages.' }),
  normal: Int64({ description: 'Whole pages sent.' }),
  'normal-bytes': Int64(),
  'dirty-pages-rate': Int64({ description: 'Pages dirtied in a second.' }),
  mbps: Type.Number({ description: '10^6 bit/s.' }),
  'dirty-sync-count': Int64({ description: 'Number of the pass.' }),
  'postcopy-requests': Int64(),
  'page-size': Int64(),
  'multifd-bytes': Int64(),
  'pages-per-second': Int64(),
  'precopy-bytes': Int64(),
  'downtime-bytes': Int64(),
  'postcopy-bytes': Int64(),
  'dirty-sync-missed-zero-copy': Int64(),
});

export const VfioStats = Type.Object({ transferred: Int64() });

export const XBZRLECacheStats = Type.Object({
  'cache-size': Int64(),
  bytes: Int64(),
  pages: Int64(),
  'cache-miss': Int64(),
  'cache-miss-rate': Type.Number(),
  'encoding-rate': Type.Number(),
  overflow: Int64(),
});

/** query-migrate's answer. */
export const MigrationInfo = Type.Object({
  status: Type.Optional(MigrationStatus),
  ram: Type.Optional(MigrationStats),
  vfio: Type.Optional(VfioStats),
  'xbzrle-cache': Type.Optional(XBZRLECacheStats),
  'total-time': Type.Optional(Int64({ description: 'Milliseconds.' })),
  'expected-downtime': Type.Optional(Int64({ description: 'Milliseconds.' })),
  downtime: Type.Optional(Int64({ description: 'Milliseconds.' })),
  'setup-time': Type.Optional(Int64({ description: 'Milliseconds.' })),
  'cpu-throttle-percentage': Type.Optional(Int64()),
  'error-desc': Type.Optional(Type.String()),
  'blocked-reasons': Type.Optional(Type.Array(Type.String())),
  'postcopy-blocktime': Type.Optional(Int64()),
  'postcopy-vcpu-blocktime': Type.Optional(Type.Array(Int64())),
  'socket-address': Type.Optional(Type.Array(SocketAddress)),
  'dirty-limit-throttle-time-per-round': Type.Optional(Int64()),
  'dirty-limit-ring-full-time': Type.Optional(Int64()),
});

export const MigrateArguments = Type.Object(
  {
    uri: Type.Optional(Text('tcp:HOST:PORT, unix:PATH, file:PATH[,offset=N], exec:COMMAND or fd:NAME.')),
    channels: Type.Optional(MigrationChannelList),
    detach: Type.Optional(Type.Boolean({ description: 'Has no effect: a migration always goes on by itself.' })),
    resume: Type.Optional(Type.Boolean({ description: 'Take up a paused post-copy migration.' })),
  },
  closed,
);

const INCOMING_MEMBERS = {
  uri: Type.Optional(Text('Where to listen or read: the same forms as for an outgoing migration.')),
  channels: Type.Optional(MigrationChannelList),
  'exit-on-error': Type.Optional(
    Type.Boolean({ description: 'End the service if the migration fails. False over HTTP unless given.' }),
  ),
};

/** What QEMU takes. */
export const QmpIncomingArguments = Type.Object(INCOMING_MEMBERS, closed);

export const MigrateIncomingArguments = Type.Object(
  {
    ...INCOMING_MEMBERS,
    'keep-listening': Type.Optional(
      Type.Boolean({
        description:
          'Listen again after a migration that failed, or that its sender cancelled. Unless given: with --keep-listening.',
      }),
    ),
  },
  closed,
);

export const MigrateContinueArguments = Type.Object({ state: MigrationStatus }, closed);

export const MigrateRecoverArguments = Type.Object({ uri: Text('Where to listen for the source.') }, closed);

/** What came of a cancel. */
export const CancelResult = Type.Object({ outcome: Type.Enum([...CANCEL_OUTCOMES]) });

const Range = Type.Object({ min: Type.Number(), max: Type.Number() });
const Verdict = Type.Object({
  verdict: Type.Enum(['converging', 'stalled', 'hopeless']),
  reason: Type.String({ description: 'Why, with the figures behind it.' }),
});

/** For people and dashboards. */
export const MigrationProgress = Type.Object({
  status: MigrationStatus,
  'first-pass-percent': Type.Number({ description: 'Share of RAM walked once; never falls during a migration.' }),
  pass: Int64({ description: '0 before the first, and on the target, which does not know it.' }),
  verdict: Type.Union([Verdict, Type.Null()]),
  rate: Type.Number({ description: 'Bytes sent in a second.' }),
  'dirty-rate': Type.Number({ description: 'Bytes dirtied in a second.' }),
  remaining: Int64({ description: 'Bytes.' }),
  'expected-downtime': Type.Number({ description: 'Milliseconds.' }),
  'downtime-limit': Int64({ description: 'Milliseconds.' }),
  'time-to-go': Type.Union([Range, Type.Null()], { description: 'Milliseconds, or null: see time-to-go-unknown.' }),
  'time-to-go-unknown': Type.Union([Type.String(), Type.Null()]),
});
