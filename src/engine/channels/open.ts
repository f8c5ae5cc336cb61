import type { MigrationAddress, TcpAddress } from '../../domain/ports/migration-session.ts';
import { type IncomingChannel, type OutgoingChannel, toTransferError } from './channel.ts';
import { openIncomingDescriptor, openOutgoingDescriptor } from './descriptor.ts';
import { ExecIncomingChannel, ExecOutgoingChannel } from './exec.ts';
import { FileIncomingChannel, FileOutgoingChannel } from './file.ts';
import { type SenderHandlers, SocketListener } from './socket-listener.ts';
import { connectSocket } from './socket-outgoing.ts';

/** Opens the channel of an outgoing migration. Rejects with a TransferError; `signal` gives up connecting. */
export async function openOutgoing(
  address: MigrationAddress,
  fileRoot: string,
  signal: AbortSignal,
): Promise<OutgoingChannel> {
  try {
    return await openChannel(address, fileRoot, signal);
  } catch (error) {
    throw toTransferError(error, `${address.transport}:`);
  }
}

async function openChannel(address: MigrationAddress, fileRoot: string, signal: AbortSignal): Promise<OutgoingChannel> {
  switch (address.transport) {
    case 'tcp':
      return connectSocket(tcpTarget(address), signal);
    case 'unix':
      return connectSocket({ path: address.path }, signal);
    case 'file':
      return new FileOutgoingChannel(fileRoot, address);
    case 'exec':
      return new ExecOutgoingChannel(address.command);
    case 'fd':
      return openOutgoingDescriptor(address);
  }
}

function tcpTarget({ host, port, family, keepAlive }: TcpAddress) {
  return { host, port, ...(family !== undefined && { family }), ...(keepAlive !== undefined && { keepAlive }) };
}

/** A place where a sender is awaited. */
export type Awaiting = {
  /** Where it listens, once it does. Rejects with a TransferError. */
  readonly bound: Promise<MigrationAddress>;
  /** True where one sender may come after another: a socket that listens. */
  readonly isListener: boolean;
  /** Hands the next sender over. Once, unless it is a listener. */
  take(handlers: SenderHandlers): void;
  /** Behind a sender that came: listens no more, but still looks at connections that may belong to that sender. */
  acceptNoMore(): void;
  /** Stops to wait; a sender that came already is not touched. */
  close(): void;
};

type Where = {
  readonly fileRoot: string;
  /** How long a connection may take from its first byte to a whole header; milliseconds. */
  readonly headerMs: number;
};

/** Opens the place that an incoming migration comes to. @throws TransferError where that is seen at once. */
export function openIncoming(address: MigrationAddress, where: Where): Awaiting {
  try {
    return openPlace(address, where);
  } catch (error) {
    throw toTransferError(error, `${address.transport}:`);
  }
}

function openPlace(address: MigrationAddress, { fileRoot, headerMs }: Where): Awaiting {
  switch (address.transport) {
    case 'tcp':
    case 'unix': {
      const name = address.transport === 'tcp' ? `tcp:${address.host}:${address.port}` : `unix:${address.path}`;
      const listener = new SocketListener(name, headerMs);
      return {
        bound: listener.listen(address),
        isListener: true,
        take: (handlers) => listener.take(handlers),
        acceptNoMore: () => void listener.acceptNoMore(),
        close: () => listener.close(),
      };
    }
    case 'file':
      return atOnce(address, new FileIncomingChannel(fileRoot, address));
    case 'exec':
      return atOnce(address, new ExecIncomingChannel(address.command));
    case 'fd':
      return atOnce(address, openIncomingDescriptor(address));
  }
}

function atOnce(address: MigrationAddress, channel: IncomingChannel): Awaiting {
  let taken = false;
  return {
    bound: Promise.resolve(address),
    isListener: false,
    take: ({ accepted }) => {
      taken = true;
      accepted(channel);
    },
    acceptNoMore: () => {},
    close: () => {
      if (!taken) channel.reset();
    },
  };
}
