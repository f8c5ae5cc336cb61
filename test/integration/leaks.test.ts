// A batch of failing migrations leaves no descriptor, socket, process or worker.

import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { combinations } from '../helpers/combinations.ts';
import { localService } from '../helpers/guest-service.ts';
import { closedPort, openPeer } from '../helpers/peer.ts';

const DEADLINES = { connectMs: 300, stallMs: 300, handoverMs: 300 };

/** The resources of this process that an engine could leak. A spare worker is counted before and after. */
function holdings() {
  const resources = process.getActiveResourcesInfo();
  const count = (...names: readonly string[]) => resources.filter((name) => names.includes(name)).length;
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    workers: count('MessagePort', 'Worker'),
    sockets: count('TCPSocketWrap', 'TCPServerWrap', 'PipeWrap', 'ProcessWrap'),
  };
}

/** The resources after they have been constant for some time, since an ended worker is replaced in the background. */
async function settled(): Promise<ReturnType<typeof holdings>> {
  let [same, last] = [0, ''];
  await expect
    .poll(
      () => {
        const now = JSON.stringify(holdings());
        same = now === last ? same + 1 : 0;
        last = now;
        return same;
      },
      { timeout: 8000, interval: 25 },
    )
    .toBeGreaterThan(20);
  return JSON.parse(last);
}

test('migrations that fail in different ways leave no resources open', async () => {
  const flags = ['--allow-exec', '--workload', 'rate=4M,span=2M,pattern=hot,fill=random'];
  const source = await localService(flags, { deadlines: DEADLINES });
  const target = await localService(['--incoming', 'defer', '--allow-exec'], { deadlines: DEADLINES });
  const silent = await openPeer(() => {}, { reads: false });
  const rude = await openPeer((socket) => socket.resetAndDestroy());
  const refused = `tcp:127.0.0.1:${await closedPort()}`;
  const uris = combinations(
    [refused, rude.uri, silent.uri, 'exec:false', 'exec:sleep 100', 'file:nowhere/guest', 'unix:/nowhere'],
    [refused, rude.uri, silent.uri, 'exec:sleep 100', 'file:nowhere/guest'],
  );
  await source.expectRunning();
  const batch = async () => {
    for (const uri of uris) expect(await source.migrate(uri)).toMatchObject({ status: 'failed', guest: 'here' });
    await target.post('/migrate/incoming', { uri: 'exec:false' });
    expect(await target.ended()).toMatchObject({ status: 'failed' });
    await target.post('/migrate/incoming', { uri: 'tcp:127.0.0.1:0' });
    await source.set({ 'max-bandwidth': 2_000_000, 'downtime-limit': 0 });
    await source.start(await target.incomingUri());
    await target.untilStatus('active');
    expect(await source.cancel()).toBe('cancelled');
    expect(await target.ended()).toMatchObject({ status: 'failed' });
    await source.set({ 'max-bandwidth': 2 ** 30, 'downtime-limit': 300 });
  };
  // The first batch allocates the permanent resources.
  await batch();
  silent.socket.destroy();
  const before = await settled();
  await batch();
  silent.socket.destroy();
  await expect.poll(holdings, { timeout: 5000, interval: 50 }).toEqual(before);
  await source.expectRunning();
});
