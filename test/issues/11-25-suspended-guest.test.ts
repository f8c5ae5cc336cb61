// Only hand-made streams had a suspended guest. Here a guest in a real QEMU suspends itself to RAM (S3). It migrates
// into an image and from the image into another QEMU. There it stays suspended, is woken, and continues to count from
// its memory.
// QEMU scenarios: /migration/precopy/unix/suspend/live, /migration/precopy/unix/suspend/notlive

import { expect, it } from 'vitest';
import { type Route, startImage, startTarget } from '../helpers/qemu/journey.ts';
import { describeWithQemu, SMALL_GUEST, SMALL_GUEST_LAP_TICKS, startQemu } from '../helpers/qemu/qemu.ts';
import { continuousTicks } from '../helpers/qemu/serial.ts';

const SUSPENDS_AT_TICK = SMALL_GUEST_LAP_TICKS + 10;
const SLEEPER = { ...SMALL_GUEST, guest: { ...SMALL_GUEST.guest, suspendsAtTick: SUSPENDS_AT_TICK } };

describeWithQemu('a guest of QEMU that has suspended itself to RAM', () => {
  it.each([
    ['live', false, 'suspended'],
    ['notlive, stopped before it leaves', true, 'paused'],
  ])(
    'stays suspended after it has passed through an image, and can be woken: suspend %s',
    async (_, isStopped, runState) => {
      const route: Route = { transport: 'unix', target: { ...SLEEPER, paused: false } };
      const source = await startQemu(SLEEPER);
      await source.qmp.waitForEvent('SUSPEND', { from: 0 });
      expect(await source.runState()).toBe('suspended');
      if (isStopped) await source.qmp.execute('stop');

      const image = await startImage(route);
      const sent = await source.migrate(image.uri);
      const received = await image.service.waitForEnd();
      const { target, uri } = await startTarget(route);
      const forwarded = await image.service.send(uri);
      const loaded = await target.waitForMigrationEnd();
      expect([sent.status, received.status, forwarded.status, loaded.status]).toEqual(Array(4).fill('completed'));
      expect(await target.runState()).toBe(runState);
      expect((await source.physicalMemory()).equals(await target.physicalMemory())).toBe(true);

      if (isStopped) {
        await target.qmp.execute('cont');
        expect(await target.runState()).toBe('suspended');
      }
      expect(target.serialText()).toBe('');
      await target.qmp.execute('system_wakeup');
      await target.qmp.waitForEvent('WAKEUP');
      await target.waitForTicks(SMALL_GUEST_LAP_TICKS);
      expect(await target.runState()).toBe('running');
      expect(continuousTicks(source.serialText(), target.serialText())).toBeGreaterThan(SUSPENDS_AT_TICK);
    },
  );
});
