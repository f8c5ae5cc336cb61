/**
 * The machine of a real QEMU migrates into the service, and from the service into another real QEMU, where it runs.
 * test/soak/qemu-migration.test.ts tests every pair of versions.
 * QEMU scenarios: /migration/precopy/tcp/plain, /migration/precopy/unix/plain
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { testInSoak } from '../helpers/combinations.ts';
import { type Route, startImage, startTarget, travels } from '../helpers/qemu/journey.ts';
import {
  describeWithQemu,
  describeWithQemu72,
  SMALL_GUEST_LAP_TICKS as LAP_TICKS,
  type QemuOptions,
  SMALL_GUEST,
  startQemu,
} from '../helpers/qemu/qemu.ts';
import { continuousTicks, tickCount } from '../helpers/qemu/serial.ts';

describeWithQemu('a machine of QEMU 10.0', () => {
  testInSoak('passes through an image with a return path on all sides', async () => {
    await travels({ transport: 'tcp', capabilities: ['return-path'] });
  });

  testInSoak('passes through an image with SeaBIOS and more devices', async () => {
    const options: QemuOptions = {
      firmware: 'seabios',
      extraArguments: [
        '-smp',
        '2',
        '-device',
        'VGA',
        '-netdev',
        'user,id=n0,restrict=on',
        '-device',
        'e1000,netdev=n0',
      ],
    };
    await travels({ transport: 'unix', source: options, target: options });
  });

  it('stays paused if it was stopped before it left', async () => {
    const route: Route = { transport: 'tcp', target: { paused: false } };
    const source = await startQemu(SMALL_GUEST);
    const image = await startImage(route);
    await source.waitForTicks(20);
    await source.qmp.execute('stop');
    await source.migrate(image.uri);
    await image.service.waitForEnd();
    const { target, uri } = await startTarget(route);

    await image.service.send(uri);
    await target.waitForMigrationEnd();

    expect((await image.service.get('/status')).json.status).toBe('postmigrate');
    expect(await target.runState()).toBe('paused');
    expect(tickCount(target.serialText())).toBe(0);
    await target.qmp.execute('cont');
    await target.waitForTicks(LAP_TICKS);
    expect(continuousTicks(source.serialText(), target.serialText())).toBeGreaterThan(LAP_TICKS);
  });

  it('arrives while it dirties its memory for several passes', async () => {
    const source = await startQemu({ ...SMALL_GUEST, parameters: { 'max-bandwidth': 6_000_000, 'downtime-limit': 1 } });
    const image = await startImage({ transport: 'tcp' });
    await source.waitForTicks(LAP_TICKS);

    await source.qmp.execute('migrate', { uri: image.uri });
    await source.qmp.waitForEvent('MIGRATION_PASS', { matches: ({ pass }) => Number(pass) >= 3, timeoutMs: 40_000 });
    await source.qmp.execute('migrate-set-parameters', { 'max-bandwidth': 0, 'downtime-limit': 300 });
    const sent = await source.waitForMigrationEnd();
    const received = await image.service.waitForEnd();

    expect([sent.status, received.status]).toEqual(['completed', 'completed']);
    const { target, uri } = await startTarget({ transport: 'tcp' });
    await image.service.send(uri);
    await target.waitForMigrationEnd();
    expect((await source.physicalMemory()).equals(await target.physicalMemory())).toBe(true);
    await target.qmp.execute('cont');
    await target.waitForTicks(LAP_TICKS + 10);
    expect(continuousTicks(source.serialText(), target.serialText())).toBeGreaterThan(2 * LAP_TICKS);
  });

  it('is stored as a file that QEMU accepts as -incoming file:, is resumed with cont, and starts elsewhere', async () => {
    const source = await startQemu(SMALL_GUEST);
    const image = await startImage({ transport: 'tcp' });
    await source.waitForTicks(LAP_TICKS);
    await source.migrate(image.uri);
    await image.service.waitForEnd();
    const stored = await image.service.send('file:machine.bin');
    const path = join(image.service.dataDirectory, 'files', 'machine.bin');

    expect(stored.status).toBe('completed');
    expect(existsSync(path)).toBe(true);
    const restored = await startQemu({ ...SMALL_GUEST, incoming: `file:${path}`, paused: true });
    expect((await restored.waitForMigrationEnd({ from: 0 })).status).toBe('completed');
    expect((await source.physicalMemory()).equals(await restored.physicalMemory())).toBe(true);
    await restored.qmp.execute('cont');
    await restored.waitForTicks(LAP_TICKS + 10);
    expect(continuousTicks(source.serialText(), restored.serialText())).toBeGreaterThan(2 * LAP_TICKS);

    await image.service.post('/cont', undefined);
    // It was not started with -S.
    const { target, uri } = await startTarget({ transport: 'tcp', target: { paused: false } });
    expect((await image.service.send(uri)).status).toBe('completed');
    await target.waitForTicks(LAP_TICKS);
    expect(await target.runState()).toBe('running');
    expect(continuousTicks(source.serialText(), target.serialText())).toBeGreaterThan(2 * LAP_TICKS);
  });
});

describeWithQemu72('a machine of QEMU 7.2', (binary) => {
  const machine = 'pc-i440fx-7.2';

  it('passes through an image into QEMU 7.2 over unix sockets with a return path', async () => {
    const old = { binary, machine };
    await travels({ transport: 'unix', stopsFirst: true, source: old, target: old, capabilities: ['return-path'] });
  });
});
