import { fstatSync } from 'node:fs';
import net from 'node:net';
import type { FdAddress, TransferError } from '../../domain/ports/migration-session.ts';
import { libcFunction } from '../../native/c-library.ts';
import type { IncomingChannel, OutgoingChannel } from './channel.ts';
import { accessOf } from './descriptor-calls.ts';
import { PipeIncomingChannel, PipeOutgoingChannel } from './pipe.ts';
import { SocketIncomingChannel } from './socket-incoming.ts';
import { SocketOutgoingChannel } from './socket-outgoing.ts';

/*
 * Inherited descriptors as channels: connected sockets of TCP or of the unix family, and pipes. The channel owns the
 * descriptor and closes it. Nothing may have read from it before: a `net.Socket` begins to read when it is made, so it is
 * made with the buffer of the channel, in the thread that uses it.
 */

type Use = 'read' | 'write';

/** The stream goes out through the descriptor. @throws TransferError */
export function openOutgoingDescriptor(address: FdAddress): OutgoingChannel {
  return orClosed(address, outgoingChannel);
}

function outgoingChannel(address: FdAddress): OutgoingChannel {
  const { fd } = address;
  const name = `fd:${address.name}`;
  if (kindOf(address, 'write') === 'socket') {
    return new SocketOutgoingChannel(new net.Socket({ fd, readable: true, writable: true, allowHalfOpen: true }), name);
  }
  return new PipeOutgoingChannel(new net.Socket({ fd, readable: false, writable: true }), name);
}

/** The stream comes in through the descriptor. @throws TransferError */
export function openIncomingDescriptor(address: FdAddress): IncomingChannel {
  return orClosed(address, incomingChannel);
}

/** Makes a channel. A descriptor that is of no use is closed: nobody else owns it. */
function orClosed<Channel>(address: FdAddress, open: (address: FdAddress) => Channel): Channel {
  try {
    return open(address);
  } catch (error) {
    // Not by Node's close, which warns in a worker of what the worker has not opened.
    libcFunction('int close(int fd)')(address.fd);
    throw error;
  }
}

function incomingChannel(address: FdAddress): IncomingChannel {
  const { fd } = address;
  const name = `fd:${address.name}`;
  const isSocket = kindOf(address, 'read') === 'socket';
  const Channel = isSocket ? SocketIncomingChannel : PipeIncomingChannel;
  return new Channel((buffer, received) => {
    const onread = {
      buffer: buffer as () => Uint8Array,
      callback: (count: number) => {
        received(count);
        return true;
      },
    };
    const socket = new net.Socket({ fd, readable: true, writable: isSocket, allowHalfOpen: true, onread });
    socket.resume();
    return socket;
  }, name);
}

function kindOf({ fd, name }: FdAddress, use: Use): 'socket' | 'pipe' {
  const found = lookAt(fd);
  if (found === null) throw unusable(`fd:${name} (descriptor ${fd}) is neither a socket nor a pipe`);
  if (found === 'pipe' && !isOpenFor(fd, use)) {
    throw unusable(
      `fd:${name} (descriptor ${fd}) is the end of a pipe that cannot be ${use === 'read' ? 'read' : 'written'}`,
    );
  }
  return found;
}

function lookAt(fd: number): 'socket' | 'pipe' | null {
  try {
    const found = fstatSync(fd);
    if (found.isSocket()) return 'socket';
    return found.isFIFO() ? 'pipe' : null;
  } catch {
    return null;
  }
}

/** Where /proc cannot tell, the first read or write will. O_APPEND changes nothing for a pipe. */
function isOpenFor(fd: number, use: Use): boolean {
  const access = accessOf(fd);
  if (access === 'append') return use === 'write';
  return access === use || access === 'both' || access === 'unknown';
}

function unusable(message: string): TransferError {
  return { code: 'descriptor_unusable', message };
}
