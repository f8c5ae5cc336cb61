import type { RenamePlan } from '../../../domain/ports/block-nodes.ts';
import type { Nodes } from './nodes.ts';
import { findSnapshot } from './stored-snapshot.ts';
import type { TaskControl } from './task-control.ts';

/**
 * Gives a snapshot its tag, in the place of snapshots that have it: on each node in one write of the header. May be done
 * again, as often as it is interrupted: what has been done on a node is told by the date.
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
