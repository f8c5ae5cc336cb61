import type { Compaction, CompactPlan, DeletePlan, RenamePlan } from '../../../domain/ports/block-nodes.ts';
import type { TaskControl } from '../task-control.ts';
import { DiskSwitch } from './disk-switch.ts';
import type { Nodes } from './open-nodes.ts';
import { findSnapshot, needSnapshot } from './stored-snapshot.ts';

/**
 * Removes a snapshot from all nodes that have it. Progress counts the bytes of its tables and the freed bytes. A cancel
 * takes effect only before the first removal: an incomplete snapshot would be of no use.
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

/** Switches the disks of all nodes to a snapshot, without a machine. */
export async function applyDisks({ tag, devices }: DeletePlan, nodes: Nodes, control: TaskControl): Promise<void> {
  control.addTotal(devices.length);
  const disks = new DiskSwitch();
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

/**
 * Renames a snapshot and replaces the snapshots that have the new tag, on each node with one header write. It may be
 * repeated after an interruption: the date shows which nodes are done.
 */
export async function renameSnapshot(plan: RenamePlan, nodes: Nodes, control: TaskControl): Promise<void> {
  const { tag, as, dateMs, devices } = plan;
  for (const name of devices) await nodes.image(name).assertPresent();
  control.addTotal(devices.length);
  await control.breathe();
  for (const name of devices) {
    const image = nodes.image(name);
    const renamed = findSnapshot(image, tag);
    const replaced = image.snapshots.filter((one) => one.name === as && one.dateMs !== dateMs).map(({ id }) => id);
    if (renamed !== null) await image.renameSnapshot(renamed, { name: as, inPlaceOf: replaced });
    else for (const id of replaced) await image.deleteSnapshot(id);
    control.addCurrent(1);
  }
  for (const name of devices) await nodes.image(name).checkFile();
}

/**
 * Compacts the images of the nodes one after the other. A pause, a cancel and a handover of the disks take effect
 * between two steps; earlier moves of clusters are kept.
 */
export async function compactImages(
  { devices }: CompactPlan,
  nodes: Nodes,
  control: TaskControl,
): Promise<readonly Compaction[]> {
  const compactions: Compaction[] = [];
  for (const node of devices) {
    await control.breathe();
    const image = nodes.image(node);
    const { before, after, movedBytes } = await image.compact(control);
    await image.checkFile();
    compactions.push({
      node,
      fileBytesBefore: before.fileBytes,
      fileBytes: after.fileBytes,
      allocatedBytesBefore: before.allocatedBytes,
      allocatedBytes: after.allocatedBytes,
      movedBytes,
    });
  }
  return compactions;
}
