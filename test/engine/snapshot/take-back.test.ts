import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BlockError, type Image } from '../../../src/block/image.ts';
import { createImage, openImageFile } from '../../../src/block/qcow2/open-image.ts';
import type { SnapshotError } from '../../../src/domain/ports/block-nodes.ts';
import { Heartbeat } from '../../../src/engine/shared/heartbeat.ts';
import { TaskCells, TaskControl, toSnapshotError } from '../../../src/engine/snapshot/task-control.ts';
import type { Nodes } from '../../../src/engine/snapshot/worker/open-nodes.ts';
import { save } from '../../../src/engine/snapshot/worker/save-task.ts';
import { LoggedFile } from '../../block/logged-file.ts';
import { temporaryDirectory } from '../../helpers/app.ts';
import { failureOf, machineMemory, savePlan } from './rig.ts';

// Failed saves on storage that prevents the removal of some of them.

type Disk = { readonly image: Image; readonly file: LoggedFile };

const FULL = new BlockError('no_space', 'full');

async function disk(): Promise<Disk> {
  const path = join(temporaryDirectory(), 'disk.qcow2');
  await createImage(path, { diskBytes: 2 ** 23 });
  const file = new LoggedFile(readFileSync(path));
  return { image: await openImageFile(file, { readOnly: false, identity: path }), file };
}

async function saveOn(...disks: readonly Disk[]): Promise<SnapshotError> {
  const devices = disks.map((_, index) => `disk${index}`);
  const nodes = { image: (name: string) => disks[devices.indexOf(name)]?.image } as unknown as Nodes;
  const control = new TaskControl(new TaskCells(), new Heartbeat());
  const saving = save(savePlan('one', machineMemory(2 ** 21), { devices }), nodes, { control, captured: () => {} });
  return toSnapshotError(await failureOf(saving));
}

test('a snapshot whose removal needs space is removed after the others have freed space', async () => {
  const [first, second, third] = [await disk(), await disk(), await disk()];
  let isFull = true;
  const { deleteSnapshot } = second.image;
  for (const { image } of [first, second]) {
    image.deleteSnapshot = async (id) => {
      // Only the space of the second one is sufficient for the first.
      if (isFull && image === first.image) throw FULL;
      isFull = false;
      await deleteSnapshot.call(image, id);
    };
  }
  third.image.createSnapshot = () => Promise.reject(FULL);
  expect(await saveOn(first, second, third)).toEqual({ code: 'no_space', message: 'full' });
  expect([first, second].map(({ image }) => image.snapshots)).toEqual([[], []]);
});

test('the areas without a snapshot are freed first', async () => {
  const [first, second] = [await disk(), await disk()];
  const order: string[] = [];
  const { deleteSnapshot } = first.image;
  const { dropVmState } = second.image;
  first.image.deleteSnapshot = (id) => {
    order.push('delete');
    return deleteSnapshot.call(first.image, id);
  };
  second.image.dropVmState = () => {
    order.push('drop');
    return dropVmState.call(second.image);
  };
  second.image.createSnapshot = () => Promise.reject(FULL);
  await saveOn(first, second);
  expect(order).toEqual(['drop', 'delete']);
});

test('a change that cannot be undone is named, with the code of the first error', async () => {
  const [first, second] = [await disk(), await disk()];
  first.image.deleteSnapshot = () => Promise.reject(new BlockError('image_io_error', 'EIO'));
  second.image.createSnapshot = () => Promise.reject(FULL);
  expect(await saveOn(first, second)).toEqual({
    code: 'no_space',
    message: "full (the begun snapshot 'one' could not be removed: node disk0: EIO)",
    left: true,
  });
});

test('a snapshot whose header write has an unknown outcome is kept', async () => {
  const one = await disk();
  let isTurned = false;
  one.file.failing = (what, position) => {
    isTurned ||= what === 'write' && position < 104;
    return isTurned && what === 'sync' ? new BlockError('image_io_error', 'EIO') : null;
  };
  expect(await saveOn(one)).toMatchObject({
    code: 'image_io_error',
    message: expect.stringMatching(/^EIO \(the begun snapshot 'one' .* node disk0: /),
    left: true,
  });
});
