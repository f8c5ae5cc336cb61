import net from 'node:net';
import type { MigrationAddress, TransferError } from '../../domain/transfer-port.ts';
import { type IncomingChannel, type OutgoingChannel, toTransferError } from './channel.ts';
import { ExecIncomingChannel, ExecOutgoingChannel } from './exec.ts';
import { FileIncomingChannel, FileOutgoingChannel } from './file.ts';
import { SocketIncomingChannel, SocketListener } from './socket-incoming.ts';
import { connectSocket, SocketOutgoingChannel } from './socket-outgoing.ts';

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
      return connectSocket({ host: address.host, port: address.port }, signal);
    case 'unix':
      return connectSocket({ path: address.path }, signal);
    case 'file':
      return new FileOutgoingChannel(fileRoot, address);
    case 'exec':
      return new ExecOutgoingChannel(address.command);
    case 'fd':
      return new SocketOutgoingChannel(inheritedSocket(address.fd), `fd:${address.fd}`);
  }
}

/** A place where a sender is awaited. */
export type Awaiting = {
  /** Where it listens, once it does. Rejects with a TransferError. */
  readonly bound: Promise<MigrationAddress>;
  onSender(listener: (channel: IncomingChannel) => void): void;
  /** Stops to wait; a sender that came already is not touched. */
  close(): void;
};

/** Opens the place that an incoming migration comes to. @throws TransferError where that is seen at once. */
export function openIncoming(address: MigrationAddress, fileRoot: string): Awaiting {
  try {
    return openPlace(address, fileRoot);
  } catch (error) {
    throw toTransferError(error, `${address.transport}:`);
  }
}

function openPlace(address: MigrationAddress, fileRoot: string): Awaiting {
  switch (address.transport) {
    case 'tcp':
    case 'unix': {
      const listener = new SocketListener(
        address.transport === 'tcp' ? `tcp:${address.host}:${address.port}` : `unix:${address.path}`,
      );
      return {
        bound: listener.listen(address),
        onSender: (take) => listener.onSender(take),
        close: () => listener.close(),
      };
    }
    case 'file':
      return atOnce(address, new FileIncomingChannel(fileRoot, address));
    case 'exec':
      return atOnce(address, new ExecIncomingChannel(address.command));
    case 'fd':
      return atOnce(address, new SocketIncomingChannel(inheritedSocket(address.fd), `fd:${address.fd}`));
  }
}

function atOnce(address: MigrationAddress, channel: IncomingChannel): Awaiting {
  let taken = false;
  return {
    bound: Promise.resolve(address),
    onSender: (take) => {
      taken = true;
      take(channel);
    },
    close: () => {
      if (!taken) channel.reset();
    },
  };
}

function inheritedSocket(fd: number): net.Socket {
  try {
    return new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  } catch {
    throw {
      code: 'descriptor_unusable',
      message: `descriptor ${fd} is neither a socket nor a pipe`,
    } satisfies TransferError;
  }
}
