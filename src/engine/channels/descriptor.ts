import { closeSync, fstatSync, readFileSync } from 'node:fs';
import net from 'node:net';
import type { FdAddress, TransferError } from '../../domain/ports/migration-session.ts';
import type { DescriptorAccess, DescriptorCalls } from '../../domain/ports/process.ts';
import { koffi, libcFunction } from '../../native/c-library.ts';
import { channelError, type IncomingChannel, type OutgoingChannel, OutgoingEnd } from './channel.ts';
import { SocketIncomingChannel } from './socket-incoming.ts';
import { SocketOutgoingChannel } from './socket-outgoing.ts';

/*
 * Inherited descriptors as channels: connected TCP or unix sockets, and pipes. The channel owns the descriptor and
 * closes it. A `net.Socket` begins to read when it is made, so it is made with the buffer of the channel, in the thread
 * that uses it: bytes that another object had read would be lost.
 */

type Use = 'read' | 'write';

/** Opens a channel that writes to the descriptor. @throws TransferError if the descriptor cannot be used. */
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

/** Opens a channel that reads from the descriptor. @throws TransferError if the descriptor cannot be used. */
export function openIncomingDescriptor(address: FdAddress): IncomingChannel {
  return orClosed(address, incomingChannel);
}

/** Makes a channel. If that fails, the descriptor is closed, since no other object owns it. */
function orClosed<Channel>(address: FdAddress, open: (address: FdAddress) => Channel): Channel {
  try {
    return open(address);
  } catch (error) {
    // Node's own close prints a warning in a worker that has not opened the descriptor.
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

/** If /proc does not show the access, the first read or write does. O_APPEND has no effect on a pipe. */
function isOpenFor(fd: number, use: Use): boolean {
  const access = accessOf(fd);
  if (access === 'append') return use === 'write';
  return access === use || access === 'both' || access === 'unknown';
}

function unusable(message: string): TransferError {
  return { code: 'descriptor_unusable', message };
}

/*
 * Pipes as channels. Node has one class for unix sockets and pipes, but a pipe has one direction: it cannot be
 * shut down, only closed, and its other end cannot answer.
 */

/** The reading end of a pipe. */
export class PipeIncomingChannel extends SocketIncomingChannel {
  override write(): void {}

  override close(): void {
    this.reset();
  }
}

/** The writing end of a pipe. Written bytes count as received, because the reader cannot confirm them. */
export class PipeOutgoingChannel implements OutgoingChannel {
  readonly hasReverse = false;
  readonly #pipe: net.Socket;
  readonly #name: string;
  readonly #end = new OutgoingEnd();

  constructor(pipe: net.Socket, name: string) {
    this.#pipe = pipe;
    this.#name = name;
    pipe.on('error', (error) => this.#end.fail(channelError(error, name)));
    pipe.on('close', () => this.#end.fail({ code: 'peer_closed', message: `${name}: the pipe was closed` }));
  }

  write(bytes: Uint8Array, done: () => void): void {
    this.#pipe.write(bytes, (error) => {
      if (error) this.#end.fail(channelError(error, this.#name));
      else done();
    });
  }

  onReverse(): void {}

  onFailure(listener: (error: TransferError) => void): void {
    this.#end.onFailure(listener);
  }

  finish(): Promise<void> {
    const finished = this.#end.finish();
    this.#pipe.once('finish', () => this.#end.finished());
    this.#pipe.end();
    return finished;
  }

  destroy(): void {
    this.#end.mute();
    this.#pipe.destroy();
  }
}

/** From Linux's <fcntl.h>; the same on x86-64 and arm64. */
const F_DUPFD_CLOEXEC = 1030;
const O_ACCMODE = 0o3;
const O_APPEND = 0o2000;
const ACCESS: readonly DescriptorAccess[] = ['read', 'write', 'both', 'unknown'];
/** The lowest descriptor of a duplicate: those below are standard input, output and error. */
const FIRST = 3;

export const descriptorCalls: DescriptorCalls = { close, duplicate, accessOf };

function close(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch {
    // The descriptor is closed in spite of the error: close(2) reports an earlier write that failed.
  }
}

function duplicate(descriptor: number): number {
  const fcntl = libcFunction('int fcntl(int fd, int command, ...)');
  const made = fcntl(descriptor, F_DUPFD_CLOEXEC, 'int', FIRST) as number;
  if (made < 0) throw new Error(`descriptor ${descriptor} cannot be duplicated (errno ${koffi().errno()})`);
  return made;
}

/** The access that a descriptor was opened with, from /proc; 'unknown' if it cannot be read. */
export function accessOf(descriptor: number): DescriptorAccess {
  const flags = flagsOf(descriptor);
  if (flags === null) return 'unknown';
  const access = ACCESS[flags & O_ACCMODE] ?? 'unknown';
  return access === 'write' && (flags & O_APPEND) !== 0 ? 'append' : access;
}

function flagsOf(descriptor: number): number | null {
  try {
    const [, flags] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')) ?? [];
    return flags === undefined ? null : Number.parseInt(flags, 8);
  } catch {
    return null;
  }
}
