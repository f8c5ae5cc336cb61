import { type TUnsafe, Type } from 'typebox';
import { CANCEL_OUTCOMES, MIGRATION_STATUSES } from '../../domain/migration/migration-status.ts';
import { figureDeclaration } from '../../domain/settings/declared-settings.ts';
import {
  CACHE_FIGURES,
  type FigureName,
  INFO_FIGURES,
  INFO_MEMBERS,
  RAM_FIGURES,
  TIME_FIGURES,
} from '../../domain/settings/schema-order.ts';
import { Int64, Text } from './common.ts';

/* SocketAddress, MigrationAddress and MigrationChannel with the members of the QAPI schema. */

const closed = { additionalProperties: false } as const;
const CHANNELS_MAX = 8;
const ARGUMENTS_MAX = 256;

const inet = {
  host: Text(),
  port: Text('A decimal port number or a service name.'),
  numeric: Type.Optional(Type.Boolean()),
  to: Type.Optional(Int64()),
  ipv4: Type.Optional(Type.Boolean()),
  ipv6: Type.Optional(Type.Boolean()),
  'keep-alive': Type.Optional(Type.Boolean()),
  mptcp: Type.Optional(Type.Boolean()),
};
const unix = { path: Text(), abstract: Type.Optional(Type.Boolean()), tight: Type.Optional(Type.Boolean()) };
const vsock = { cid: Text(), port: Text() };
const fd = { str: Text('Name of a descriptor that was given with --fd or getfd.') };

/** The address of a socket. */
export const SocketAddress = Type.Union([
  Type.Object({ type: Type.Literal('inet'), ...inet }, closed),
  Type.Object({ type: Type.Literal('unix'), ...unix }, closed),
  Type.Object({ type: Type.Literal('vsock'), ...vsock }, closed),
  Type.Object({ type: Type.Literal('fd'), ...fd }, closed),
]);

const socket = Type.Literal('socket');

/** The target address of an outgoing migration, or the source address of an incoming one. */
export const MigrationAddress = Type.Union([
  Type.Object({ transport: socket, type: Type.Literal('inet'), ...inet }, closed),
  Type.Object({ transport: socket, type: Type.Literal('unix'), ...unix }, closed),
  Type.Object({ transport: socket, type: Type.Literal('vsock'), ...vsock }, closed),
  Type.Object({ transport: socket, type: Type.Literal('fd'), ...fd }, closed),
  Type.Object({ transport: Type.Literal('exec'), args: Type.Array(Text(), { maxItems: ARGUMENTS_MAX }) }, closed),
  Type.Object({ transport: Type.Literal('rdma'), ...inet }, closed),
  Type.Object({ transport: Type.Literal('file'), filename: Text(), offset: Int64() }, closed),
]);

export const MigrationChannelType = Type.Enum(['main', 'cpr']);

export const MigrationChannel = Type.Object({ 'channel-type': MigrationChannelType, addr: MigrationAddress }, closed);

export const MigrationChannelList = Type.Array(MigrationChannel, { maxItems: CHANNELS_MAX });

/* Types of `migrate` and `query-migrate` in the QAPI schema, and further types of vmferry. */

export const MigrationStatus = Type.Enum([...MIGRATION_STATUSES]);

/** The schema of a figure. */
function figure(name: FigureName): TUnsafe<number | bigint> {
  const { description, isFraction = false } = figureDeclaration(name);
  const options = description === undefined ? {} : { description };
  return isFraction ? Type.Unsafe<number>(Type.Number(options)) : Int64(options);
}

function figures<N extends FigureName>(names: readonly N[]): Record<N, TUnsafe<number | bigint>> {
  return Object.fromEntries(names.map((name) => [name, figure(name)])) as Record<N, TUnsafe<number | bigint>>;
}

export const MigrationStats = Type.Object(figures(RAM_FIGURES));

export const VfioStats = Type.Object({ transferred: Int64() });

export const XBZRLECacheStats = Type.Object(figures(CACHE_FIGURES));

/** Members of query-migrate that are not declared as figures. */
const OTHER_MEMBERS = {
  status: MigrationStatus,
  ram: MigrationStats,
  vfio: VfioStats,
  'xbzrle-cache': XBZRLECacheStats,
  'error-desc': Type.String(),
  'blocked-reasons': Type.Array(Type.String()),
  'postcopy-blocktime': Int64(),
  'postcopy-vcpu-blocktime': Type.Array(Int64()),
  'socket-address': Type.Array(SocketAddress),
};

const MEMBERS = { ...OTHER_MEMBERS, ...figures([...TIME_FIGURES, ...INFO_FIGURES]) };

/** The answer of query-migrate. */
export const MigrationInfo = Type.Partial(
  Type.Object(Object.fromEntries(INFO_MEMBERS.map((name) => [name, MEMBERS[name]])) as typeof MEMBERS),
);

export const MigrateArguments = Type.Object(
  {
    uri: Type.Optional(
      Text('Address of the target: tcp:HOST:PORT, unix:PATH, file:PATH[,offset=N], exec:COMMAND or fd:NAME.'),
    ),
    channels: Type.Optional(MigrationChannelList),
    detach: Type.Optional(Type.Boolean({ description: 'Has no effect: a migration always runs in the background.' })),
    resume: Type.Optional(Type.Boolean({ description: 'Resume a paused post-copy migration.' })),
  },
  closed,
);

const INCOMING_MEMBERS = {
  uri: Type.Optional(Text('The address to listen on or to read from, in the forms of an outgoing migration.')),
  channels: Type.Optional(MigrationChannelList),
  'exit-on-error': Type.Optional(
    Type.Boolean({ description: 'End the service if the migration fails. Default over HTTP: false.' }),
  ),
};

/** The arguments of QEMU's command. */
export const QmpIncomingArguments = Type.Object(INCOMING_MEMBERS, closed);

export const MigrateIncomingArguments = Type.Object(
  {
    ...INCOMING_MEMBERS,
    'keep-listening': Type.Optional(
      Type.Boolean({
        description:
          'Listen again after a failed migration, or one that its sender cancelled. Default: the option --keep-listening.',
      }),
    ),
  },
  closed,
);

export const MigrateContinueArguments = Type.Object({ state: MigrationStatus }, closed);

export const MigrateRecoverArguments = Type.Object({ uri: Text('The address to listen on for the source.') }, closed);

/** The outcome of a cancel. */
export const CancelResult = Type.Object({ outcome: Type.Enum([...CANCEL_OUTCOMES]) });

const Range = Type.Object({ min: Type.Number(), max: Type.Number() });
const Verdict = Type.Object({
  verdict: Type.Enum(['converging', 'stalled', 'hopeless']),
  reason: Type.String({ description: 'The reason of the verdict, with its figures.' }),
});

/** Progress for people and dashboards. */
export const MigrationProgress = Type.Object({
  status: MigrationStatus,
  'first-pass-percent': Type.Number({
    description: 'Share of RAM that the first pass has processed. It never decreases during a migration.',
  }),
  pass: Int64({
    description:
      'Number of the current pass; 0 before the first pass, and always 0 on the target, which does not know it.',
  }),
  verdict: Type.Union([Verdict, Type.Null()]),
  rate: Type.Number({ description: 'Bytes sent per second.' }),
  'dirty-rate': Type.Number({ description: 'Bytes dirtied per second.' }),
  remaining: Int64({ description: 'Bytes that are not sent yet.' }),
  'expected-downtime': Type.Number({ description: 'Expected downtime in milliseconds.' }),
  'downtime-limit': Int64({ description: 'The parameter downtime-limit, in milliseconds.' }),
  'time-to-go': Type.Union([Range, Type.Null()], {
    description: 'The remaining time in milliseconds; null if it is unknown, see time-to-go-unknown.',
  }),
  'time-to-go-unknown': Type.Union([Type.String(), Type.Null()]),
});
