import { Type } from 'typebox';
import { Int64, Text } from './common.ts';

/* SocketAddress, MigrationAddress and MigrationChannel of the QAPI schema, member for member. */

const CHANNELS_MAX = 8;
const ARGUMENTS_MAX = 256;
const closed = { additionalProperties: false } as const;

const inet = {
  host: Text(),
  port: Text('Decimal port number, or a service name.'),
  numeric: Type.Optional(Type.Boolean()),
  to: Type.Optional(Int64()),
  ipv4: Type.Optional(Type.Boolean()),
  ipv6: Type.Optional(Type.Boolean()),
  'keep-alive': Type.Optional(Type.Boolean()),
  mptcp: Type.Optional(Type.Boolean()),
};
const unix = { path: Text(), abstract: Type.Optional(Type.Boolean()), tight: Type.Optional(Type.Boolean()) };
const vsock = { cid: Text(), port: Text() };
const fd = { str: Text('Name of a descriptor given with --fd.') };

/** Where a socket is. */
export const SocketAddress = Type.Union([
  Type.Object({ type: Type.Literal('inet'), ...inet }, closed),
  Type.Object({ type: Type.Literal('unix'), ...unix }, closed),
  Type.Object({ type: Type.Literal('vsock'), ...vsock }, closed),
  Type.Object({ type: Type.Literal('fd'), ...fd }, closed),
]);

const socket = Type.Literal('socket');

/** Where a migration goes to or comes from. */
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
