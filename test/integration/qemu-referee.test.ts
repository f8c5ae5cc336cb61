// Checks the test guest and the QEMU helpers by migrations from QEMU to QEMU, without vmferry.

import { readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { combinations, testInSoak } from '../helpers/combinations.ts';
import {
  describeWithQemu,
  describeWithQemu72,
  SMALL_GUEST_LAP_TICKS as LAP_TICKS,
  SMALL_GUEST,
  startQemu,
} from '../helpers/qemu/qemu.ts';
import { QmpCommandError } from '../helpers/qemu/qmp.ts';
import { continuousTicks, guestComplaint, guestTicks } from '../helpers/qemu/serial.ts';

describeWithQemu('a real QEMU as the referee', () => {
  for (const firmware of combinations(['guest', 'seabios'], ['guest'])) {
    it(`continues the ${firmware} guest after a migration without a gap`, async () => {
      const source = await startQemu({ ...SMALL_GUEST, firmware });
      const target = await startQemu({ ...SMALL_GUEST, firmware, incoming: `unix:${source.path('migration.sock')}` });
      await source.waitForTicks(LAP_TICKS + 10);

      const sent = await source.migrate(`unix:${source.path('migration.sock')}`);
      const received = await target.waitForMigrationEnd();
      await target.waitForTicks(LAP_TICKS + 10);

      expect(sent.status).toBe('completed');
      expect(received.status).toBe('completed');
      expect(await source.runState()).toBe('postmigrate');
      expect(await target.runState()).toBe('running');
      const sourceTicks = guestTicks(source.serialText()).length;
      expect(continuousTicks(source.serialText(), target.serialText())).toBeGreaterThan(sourceTicks + LAP_TICKS);
    }, 60_000);
  }

  testInSoak('shows identical physical memory of a stopped source and a paused target', async () => {
    const source = await startQemu(SMALL_GUEST);
    const target = await startQemu({ ...SMALL_GUEST, incoming: `unix:${source.path('migration.sock')}`, paused: true });
    await source.waitForTicks(LAP_TICKS);
    const sent = await source.migrate(`unix:${source.path('migration.sock')}`);
    await target.waitForMigrationEnd();

    const before = await source.physicalMemory();
    const after = await target.physicalMemory();

    expect(sent.status).toBe('completed');
    expect(await target.runState()).toBe('paused');
    expect(before.length).toBe(SMALL_GUEST.ramMebibytes * 1024 * 1024);
    expect(before.some((byte) => byte !== 0)).toBe(true);
    expect(before.equals(after)).toBe(true);
  });

  it('has a guest that detects one wrong byte in its memory', async () => {
    const source = await startQemu({ guest: { ringPages: 16, pagesPerTick: 1 }, ramMebibytes: 2 });
    await source.waitForTicks(20);
    const path = source.path('stream.bin');
    await source.migrate(`file:${path}`);
    const stream = readFileSync(path);
    const pageRecord = Buffer.from('0000000000105028', 'hex');
    const recordOffset = stream.lastIndexOf(pageRecord);
    const pageOffset = recordOffset + pageRecord.length;
    stream[pageOffset + 1234] = (stream[pageOffset + 1234] as number) ^ 1;
    writeFileSync(path, stream);

    const target = await startQemu({
      guest: { ringPages: 16, pagesPerTick: 1 },
      ramMebibytes: 2,
      incoming: `file:${path}`,
    });
    const text = await target.waitForSerial((serial) => guestComplaint(serial) !== null);

    expect(recordOffset).toBeGreaterThan(0);
    expect(guestComplaint(text)).toBe((0x105000 + 1232).toString(16).padStart(8, '0'));
    expect(() => guestTicks(text)).toThrow('wrong memory');
  }, 60_000);

  it('returns the error of a refused command, and rejects when nothing arrives in time', async () => {
    const qemu = await startQemu({ paused: true });

    const refused = qemu.qmp.execute('migrate-set-parameters', { 'downtime-limit': -1 });
    await expect(refused).rejects.toBeInstanceOf(QmpCommandError);
    await expect(refused).rejects.toMatchObject({ errorClass: 'GenericError', command: 'migrate-set-parameters' });
    await expect(qemu.qmp.waitForEvent('RESUME', { timeoutMs: 50 })).rejects.toThrow('No event RESUME within 50 ms');
    expect(await qemu.runState()).toBe('prelaunch');
  }, 60_000);

  it('reports the output of a QEMU that does not start', async () => {
    await expect(startQemu({ machine: 'no-such-machine' })).rejects.toThrow('no-such-machine');
  }, 60_000);
});

describeWithQemu72('QEMU 7.2 as the source', (binary) => {
  it('migrates into QEMU 10, and the guest keeps running', async () => {
    const machine = 'pc-i440fx-7.2';
    const source = await startQemu({ ...SMALL_GUEST, binary, machine });
    const target = await startQemu({ ...SMALL_GUEST, machine, incoming: `unix:${source.path('migration.sock')}` });
    await source.waitForTicks(LAP_TICKS + 10);

    // Its dirty log sometimes loses writes (journey.ts), so it is stopped first.
    await source.qmp.execute('stop');
    const sent = await source.migrate(`unix:${source.path('migration.sock')}`);
    await target.waitForMigrationEnd();
    await target.qmp.execute('cont');
    await target.waitForTicks(LAP_TICKS + 10);

    expect(sent.status).toBe('completed');
    expect(continuousTicks(source.serialText(), target.serialText())).toBeGreaterThan(2 * LAP_TICKS);
  }, 60_000);
});
