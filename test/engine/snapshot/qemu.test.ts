// A machine passes from QEMU's snapshot through this engine into a snapshot that QEMU starts from, in one image.

import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createImage } from '../../../src/block/qcow2/open-image.ts';
import type { LoadPlan, SavePlan } from '../../../src/engine/snapshot/block-messages.ts';
import { temporaryDirectory } from '../../helpers/app.ts';
import { CLEAN, check } from '../../helpers/qcow2/tools.ts';
import { describeWithQemu } from '../../helpers/qemu/qemu.ts';
import { qemuSnapshot, startQemuOn } from '../../helpers/snapshots/qemu-machine.ts';
import { DISK_BYTES, savePlan, startOn } from './rig.ts';

const PLACE = { tag: 'by-qemu', vmState: 'disk0', devices: ['disk0'] };
const LOAD: LoadPlan = { ...PLACE, target: { form: 'image', ramBytesMax: 2 ** 30 }, capabilities: [], uuid: '' };

describeWithQemu('a machine that QEMU saved', () => {
  it('is verified, loaded, saved again, and QEMU continues with it', async () => {
    const path = join(temporaryDirectory(), 'disk.qcow2');
    await createImage(path, { diskBytes: DISK_BYTES });
    const source = await startQemuOn(path);
    await source.waitForTicks(20);
    await source.qmp.execute('stop');
    await qemuSnapshot(source, 'save', 'by-qemu');
    const memory = await source.physicalMemory();
    await source.stop();

    const { engine } = await startOn([path]);
    expect(engine.nodes()[0]?.snapshots).toMatchObject([{ tag: 'by-qemu', hasDigests: false }]);
    expect(await engine.verify(PLACE).ended).toMatchObject({ hadDigests: false, digests: [] });
    const loading = engine.load(LOAD);
    const { state } = await loading.loaded;
    if (state.form !== 'image') throw new Error('it is no image');
    await loading.apply();
    loading.release();
    await loading.ended;
    const transferSource: SavePlan['source'] = {
      machineName: state.machineName,
      memory: state.memory,
      vcpuControl: null,
      state: { form: 'image', image: state.image },
    };
    await engine.save({ ...savePlan('again', state.memory), source: transferSource }).ended;
    const { digests } = await engine.verify({ ...PLACE, tag: 'again' }).ended;
    expect(digests.map(({ name }) => name)).toContain('pc.ram');
    const [first, second] = engine.nodes()[0]?.snapshots ?? [];
    expect(second?.vmStateBytes).toBeLessThan((first?.vmStateBytes ?? 0) * 1.01);
    await engine.close();
    expect(await check(path)).toEqual(CLEAN);

    const target = await startQemuOn(path, { paused: true, extraArguments: ['-loadvm', 'again'] });
    expect((await target.physicalMemory()).equals(memory)).toBe(true);
    await target.qmp.execute('cont');
    await target.waitForTicks(20);
    await qemuSnapshot(target, 'delete', 'again');
    await target.stop();
    expect(await check(path)).toEqual(CLEAN);
  });
});
