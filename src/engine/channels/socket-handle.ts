import net from 'node:net';
import { libcFunction } from '../../native/c-library.ts';

/*
 * How much of what was written to a socket the peer's system has taken. Linux tells: the count of TCP_INFO, and the length
 * of a socket's send queue.
 */

/** Of Linux's <netinet/tcp.h> and <sys/socket.h>; the same on x86-64 and arm64. */
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** Offset of the u64 tcpi_bytes_acked in struct tcp_info. */
const BYTES_ACKED_AT = 120;
const TCP_INFO_BYTES = 256;
/** ioctl that gives the bytes of a socket's send queue: of a unix socket those that the peer has not read. */
const SIOCOUTQ = 0x5411;

type Libc = {
  getsockopt(fd: number, level: number, name: number, value: Buffer, length: Buffer): number;
  ioctl(fd: number, request: number, type: 'void *', value: Buffer): number;
};

let loaded: Libc | null | undefined;

function libc(): Libc | null {
  if (loaded !== undefined) return loaded;
  loaded = null;
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return null;
  try {
    loaded = {
      getsockopt: libcFunction(
        'int getsockopt(int fd, int level, int name, void *value, void *length)',
      ) as Libc['getsockopt'],
      ioctl: libcFunction('int ioctl(int fd, unsigned long request, ...)') as unknown as Libc['ioctl'],
    };
  } catch {
    loaded = null;
  }
  return loaded;
}

/**
 * A gauge of the bytes that the peer's system has acknowledged since now, given how many were written since now.
 * @returns a function that gives null once that cannot be told; null where it never can.
 */
export function acknowledgementGauge(socket: net.Socket): ((writtenBytes: number) => number | null) | null {
  const descriptor = descriptorOf(socket);
  if (descriptor === null || libc() === null) return null;
  const before = bytesAcknowledged(descriptor);
  if (before !== null) {
    return () => {
      const now = descriptorOf(socket) === descriptor ? bytesAcknowledged(descriptor) : null;
      return now === null ? null : now - before;
    };
  }
  if (queuedBytes(descriptor) === null) return null;
  return (writtenBytes) => {
    const queued = descriptorOf(socket) === descriptor ? queuedBytes(descriptor) : null;
    // The length counts the system's own overhead too, so it may be more than what was written.
    return queued === null ? null : Math.max(0, writtenBytes - socket.writableLength - queued);
  };
}

/** The descriptor of a socket is known to an inner part of Node only. */
export function descriptorOf(socket: net.Socket): number | null {
  const handle = (socket as unknown as { _handle?: { readonly fd?: unknown } | null })._handle;
  return typeof handle?.fd === 'number' && handle.fd >= 0 ? handle.fd : null;
}

function bytesAcknowledged(descriptor: number): number | null {
  const info = Buffer.alloc(TCP_INFO_BYTES);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(TCP_INFO_BYTES);
  const status = libc()?.getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, info, length);
  if (status !== 0 || length.readUInt32LE() < BYTES_ACKED_AT + 8) return null;
  return Number(info.readBigUInt64LE(BYTES_ACKED_AT));
}

function queuedBytes(descriptor: number): number | null {
  const queued = Buffer.alloc(4);
  return libc()?.ioctl(descriptor, SIOCOUTQ, 'void *', queued) === 0 ? queued.readInt32LE() : null;
}

/**
 * Closes a socket at once, so that its peer sees a stream that was not taken. TCP can say so by RST. A unix socket or a
 * pipe has no RST, and Node throws where one is asked for: the kernel closes those, and reports ECONNRESET to a peer
 * whose bytes were not read.
 */
export function breakOff(socket: net.Socket): void {
  try {
    socket.resetAndDestroy();
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_INVALID_HANDLE_TYPE')) throw error;
    socket.destroy();
  }
}

/*
 * Node reads a socket straight into a caller's buffer only with the `onread` option, and takes that option only where
 * a socket is made by `net.connect` or from a handle, not where a server accepts one. So an accepted socket gives its
 * handle to a new one: three times the throughput (see docs/adr/0002-reading-accepted-sockets.md). The handle is an
 * inner part of Node; where it is not found, chunks are copied instead.
 */
type Inner = { _handle?: object | null };

/**
 * Reads `connected` into what `buffer` gives, asked anew for each read, and tells `received` how many bytes came.
 * @returns the socket to use from now on in place of `connected`.
 */
export function readInto(
  connected: net.Socket,
  buffer: () => Uint8Array<SharedArrayBuffer>,
  received: (count: number) => void,
): net.Socket {
  const inner = connected as unknown as Inner;
  const handle = inner._handle;
  if (handle === undefined || handle === null) return copyInto(connected, buffer, received);
  inner._handle = null;
  const options = {
    handle,
    allowHalfOpen: true,
    onread: {
      buffer: buffer as () => Uint8Array,
      callback: (count: number) => {
        received(count);
        return true;
      },
    },
  };
  const socket = new net.Socket(options as net.SocketConstructorOpts);
  socket.resume();
  return socket;
}

function copyInto(
  socket: net.Socket,
  buffer: () => Uint8Array<SharedArrayBuffer>,
  received: (count: number) => void,
): net.Socket {
  socket.on('data', (chunk: Buffer) => deliver(chunk, buffer, received));
  return socket;
}

/** Copies a chunk into what `buffer` gives, piece by piece, and tells `received` of each. */
export function deliver(
  chunk: Uint8Array,
  buffer: () => Uint8Array<SharedArrayBuffer>,
  received: (count: number) => void,
): void {
  for (let from = 0; from < chunk.length; ) {
    const into = buffer();
    const count = Math.min(into.length, chunk.length - from);
    into.set(chunk.subarray(from, from + count));
    from += count;
    received(count);
  }
}
