import net from 'node:net';

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
