// The tests of test/integration, for longer and at full size. test/soak/measured.test.ts measures the rates and
// downtimes.

import { describe, expect, test } from 'vitest';
import { moveThereAndBack } from '../helpers/busy-legs.ts';
import { runRaces } from '../helpers/cancel-race.ts';
import { closeInPhases, closingsWith } from '../helpers/closing-peer.ts';
import { crashIncoming, crashOutgoing } from '../helpers/crash-loop.ts';
import { localService } from '../helpers/guest-service.ts';
import { closedPort, openPeer } from '../helpers/peer.ts';
import { SOCKET_TRANSPORTS } from '../helpers/transports.ts';

const LEGS = 50;

test(`${LEGS} migrations of a busy guest of 512 MiB, in both directions, lose no tick and no page`, async () => {
  const downtimes = await moveThereAndBack(LEGS);
  console.log(`downtime of ${LEGS} migrations: median ${downtimes[LEGS / 2]} ms, most ${downtimes.at(-1)} ms`);
});

test('300 cancels that race with the completion of real migrations lead to exactly one end each', async () => {
  const races = await runRaces(300);
  console.log(`cancelled ${races.cancelled}, completed ${races.completed}`);
  expect(Math.min(races.cancelled, races.completed)).toBeGreaterThan(30);
});

describe.each([true, false])('with return-path %s', (hasReturnPath) => {
  test.each(
    (['FIN', 'RST', 'silence'] as const).flatMap((how) =>
      SOCKET_TRANSPORTS.map((transport) => [how, transport] as const),
    ),
  )(
    'a %s of the peer over %s in any phase before the handover leaves the guest running here',
    async (how, transport) => {
      await closeInPhases(closingsWith(how), transport, { hasReturnPath });
    },
  );
});

test('kill -9 at 60 random moments of sending and 40 of receiving leaves no partial state', async () => {
  await crashOutgoing(60);
  await crashIncoming(40);
});

test('memory does not grow over hundreds of failing migrations', async () => {
  const service = await localService([], { deadlines: { connectMs: 500, stallMs: 200, handoverMs: 200 } });
  const rude = await openPeer((socket) => socket.resetAndDestroy());
  const refused = `tcp:127.0.0.1:${await closedPort()}`;
  const fail = async (count: number) => {
    for (let round = 0; round < count; round += 1) {
      expect((await service.migrate(round % 2 === 0 ? rude.uri : refused)).status).toBe('failed');
    }
  };
  await fail(100);
  const before = process.memoryUsage().rss;
  await fail(400);
  const grown = process.memoryUsage().rss - before;
  console.log(`400 failing migrations: ${(grown / 2 ** 20).toFixed(1)} MiB more`);
  expect(grown).toBeLessThan(40 * 2 ** 20);
  await service.expectRunning();
});
