import type { Compaction, CompactPlan } from '../../../domain/ports/block-nodes.ts';
import type { Nodes } from './nodes.ts';
import type { TaskControl } from './task-control.ts';

/**
 * Compacts the images of the nodes one after the other. A pause, a cancel and a handover of the disks take effect between
 * two steps; clusters that were moved before stay where they are.
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
