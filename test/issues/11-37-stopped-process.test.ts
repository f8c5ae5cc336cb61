// The event loop runs timers before it reads sockets. A source that was stopped (SIGSTOP, a laptop that sleeps) for
// longer than a deadline therefore evaluated the deadline first, and ignored the answer that waited in its socket.

import { expect, test } from 'vitest';
import { ReversePath } from '../../src/engine/channels/reverse-path.ts';
import { openOutgoing } from '../../src/engine/channels/transports.ts';
import { WaitPoint } from '../../src/engine/session/wait-point.ts';
import { encodeReverse } from '../../src/engine/stream/return-path.ts';
import { openPeer } from '../helpers/peer.ts';

/** Blocks this process. Data on sockets still arrives. */
function stopProcess(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

const DEADLINE_MS = 40;

test.each(['tcp', 'unix'] as const)(
  'an answer of the target that waits in a %s socket counts after the source was stopped for longer than the deadline',
  async (transport) => {
    const peer = await openPeer(() => {}, { transport });
    const [, host = '', port] = peer.uri.split(':');
    const address = transport === 'unix' ? { transport, path: host } : { transport, host, port: Number(port) };
    const channel = await openOutgoing(address, '/', new AbortController().signal);
    const waitPoint = new WaitPoint(() => false);
    channel.onFailure((error) => waitPoint.fail(error));
    const reverse = new ReversePath(channel, waitPoint, () => true);
    await peer.has(0);

    const waiting = waitPoint.until(() => reverse.shut !== null, DEADLINE_MS, 'waiting for the answer');
    peer.socket.end(encodeReverse({ type: 'shut', value: 0 }));
    stopProcess(3 * DEADLINE_MS);
    await waiting;
    expect(reverse.shut).toBe(0);

    // Without waiting data the deadline applies.
    const inVain = waitPoint.within(DEADLINE_MS, () => false);
    stopProcess(3 * DEADLINE_MS);
    await expect(inVain.catch((error: unknown) => error)).resolves.toMatchObject({ code: 'peer_closed' });
    channel.destroy();
  },
);

test('a deadline that expired without an answer fails the wait', async () => {
  const waitPoint = new WaitPoint(() => false);
  const waiting = waitPoint.until(() => false, DEADLINE_MS, 'testing');
  stopProcess(3 * DEADLINE_MS);
  await expect(waiting).rejects.toMatchObject({ code: 'deadline_exceeded' });
});
