import type net from 'node:net';

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
