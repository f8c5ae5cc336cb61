import type { DeletePlan, DigestReading, PartDigests } from '../../../domain/ports/block-nodes.ts';
import type { Nodes } from './nodes.ts';
import { partDigests } from './shown-digests.ts';
import { findSnapshot, keptManifest } from './stored-snapshot.ts';
import type { TaskControl } from './task-control.ts';

/**
 * Reads the digests that were kept with a snapshot: its manifests, and nothing that they are of. It may run beside other
 * tasks, so that the snapshot may go meanwhile. Whatever is wrong with one part is said of that one.
 */
export async function readDigests(
  { tag, devices }: DeletePlan,
  nodes: Nodes,
  control: TaskControl,
): Promise<readonly DigestReading[]> {
  const readings: DigestReading[] = [];
  for (const node of devices) {
    await control.breathe();
    try {
      readings.push({ node, digests: await digestsOf(nodes, { node, tag }, control), fault: null });
    } catch (error) {
      control.check();
      const why = error instanceof Error ? error.message : String(error);
      readings.push({ node, digests: null, fault: `The digests cannot be used, ${why}` });
    }
  }
  return readings;
}

async function digestsOf(
  nodes: Nodes,
  { node, tag }: { readonly node: string; readonly tag: string },
  control: TaskControl,
): Promise<PartDigests | null> {
  const image = nodes.image(node);
  const id = findSnapshot(image, tag);
  if (id === null) throw new Error('the snapshot was deleted');
  const manifest = await keptManifest(await image.openSnapshot(id));
  return manifest === null ? null : partDigests(manifest, control);
}
