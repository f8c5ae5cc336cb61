import { lstatSync, unlinkSync } from 'node:fs';
import net from 'node:net';

/**
 * Removes what a service that was killed left at `path`: a socket that nobody listens on. Anything else, and a socket
 * that answers, stays. @returns true if it was removed.
 */
export async function removeStaleSocket(path: string): Promise<boolean> {
  try {
    if (!lstatSync(path).isSocket() || (await isAnswered(path))) return false;
    unlinkSync(path);
    return true;
  } catch {
    return false;
  }
}

function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = net.connect({ path });
  probe.once('connect', () => resolve(true));
  probe.once('error', (error) => resolve(!('code' in error && error.code === 'ECONNREFUSED')));
  return promise.finally(() => probe.destroy());
}
