import type { DeletePlan } from '../../../domain/ports/block-nodes.ts';
import { DiskTurn } from './disk-turn.ts';
import type { Nodes } from './nodes.ts';
import { findSnapshot, needSnapshot } from './stored-snapshot.ts';
import type { TaskControl } from './task-control.ts';

/**
 * Removes a snapshot from all nodes that have it. What is counted is the bytes of its tables, and then of all that is
 * freed, which shows on the way. A cancel counts only before the first of them, since what was removed
 * is gone: with the rest left in place the snapshot would be of no use.
 */
export async function deleteSnapshot({ tag, devices }: DeletePlan, nodes: Nodes, control: TaskControl): Promise<void> {
  for (const name of devices) await nodes.image(name).assertPresent();
  const parts = devices.flatMap((name) => {
    const image = nodes.image(name);
    const id = findSnapshot(image, tag);
    return id === null ? [] : [{ image, id }];
  });
  for (const { image, id } of parts) control.addTotal(image.tableBytesOf(id));
  await control.breathe();
  for (const { image, id } of parts) await image.deleteSnapshot(id, control);
  for (const name of devices) await nodes.image(name).assertPresent();
}

/** Turns the disks of all nodes to a snapshot, without a machine. */
export async function applyDisks({ tag, devices }: DeletePlan, nodes: Nodes, control: TaskControl): Promise<void> {
  control.addTotal(devices.length);
  const disks = new DiskTurn();
  try {
    for (const name of devices) {
      await control.breathe();
      const image = nodes.image(name);
      await image.assertPresent();
      await disks.prepare(name, image.prepareApply(needSnapshot(image, tag, name)));
    }
    control.check();
  } catch (error) {
    await disks.abandon();
    throw error;
  }
  await disks.commit();
  await disks.release();
  control.addCurrent(devices.length);
}
