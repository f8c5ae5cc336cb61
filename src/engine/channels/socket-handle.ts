import net from 'node:net';
import { libcFunction } from '../../native/c-library.ts';

/*
 * How many written bytes the peer's system has acknowledged. Linux gives TCP_INFO for TCP, and the length of the send queue
 * for other sockets.
 */

/** From Linux's <netinet/tcp.h> and <sys/socket.h>; the same on x86-64 and arm64. */
const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** Offset of the u64 tcpi_bytes_acked in struct tcp_info. */
const BYTES_ACKED_AT = 120;
const TCP_INFO_BYTES = 256;
/** The ioctl for the bytes in a socket's send queue; for a unix socket, the bytes that the peer has not read. */
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
 * Begins to count acknowledged bytes. @returns a function that takes the bytes written since this call and returns how
 * many of them the peer's system has acknowledged, or null if that is unknown; null if the system has no such count.
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
    // The length includes overhead of the system, so it may exceed the written bytes.
    return queued === null ? null : Math.max(0, writtenBytes - socket.writableLength - queued);
  };
}

/** The descriptor of a socket, from an undocumented member of Node; null if it is not found. */
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
 * Closes a socket at once, so that the peer sees an error. TCP sends RST. A unix socket or a pipe has no RST, and Node throws
 * if one is requested: these are closed, and the kernel reports ECONNRESET to a peer whose bytes were not read.
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
 * Node reads a socket directly into a caller's buffer only with the option `onread`. A socket made by `net.connect` or from
 * a handle has that option, a socket accepted by a server has not. So the handle of an accepted socket is given to a new
 * socket: three times the throughput (docs/adr/0002-reading-accepted-sockets.md). The handle is an undocumented member of
 * Node; without it, chunks are copied.
 */
type Inner = { _handle?: object | null };

/**
 * Reads from `connected`: calls `buffer` for the destination before each read, and `received` with the number of bytes
 * after it. @returns the socket that replaces `connected`.
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

/** Copies a chunk piece by piece into the buffers that `buffer` returns, and calls `received` after each piece. */
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
