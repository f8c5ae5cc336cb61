import { totalmem } from 'node:os';
import type { SnapshotDigest, VerifyPlan, VerifyResult } from '../../../domain/ports/block-nodes.ts';
import { checkDisk } from './checked-disk.ts';
import { checkedStream } from './checked-stream.ts';
import { DamageList } from './damage-list.ts';
import type { Nodes } from './nodes.ts';
import { shownDigests } from './shown-digests.ts';
import { openStored, type StoredSnapshot } from './stored-snapshot.ts';
import { readMachine } from './stream-feed.ts';
import type { TaskControl } from './task-control.ts';

/**
 * Reads everything of a snapshot, to its end even where it is damaged. With digests every byte is held against them;
 * without, the stream is read into memory that is thrown away, which shows whether its structure is whole.
 * @throws SnapshotFailure `snapshot_damaged` with all places.
 */
export async function verify(plan: VerifyPlan, nodes: Nodes, control: TaskControl): Promise<VerifyResult> {
  const { tag, vmState, devices } = plan;
  const damage = new DamageList(tag, { endsAtFirst: false });
  const names = [...new Set([...(vmState === null ? [] : [vmState]), ...devices])];
  const digests: SnapshotDigest[] = [];
  let checkedBytes = 0;
  const snapshots = await openStored(names, { tag, nodes, damage });
  for (const stored of snapshots) {
    if (stored.node === vmState) checkedBytes += await checkVmState(stored, damage, control);
    checkedBytes += await checkDisk(stored, damage, control);
    if (stored.manifest !== null) {
      digests.push(...(await shownDigests(stored.node, stored.manifest, control)));
    }
    await stored.image.checkFile(stored.reader.snapshot.id);
  }
  damage.throwIfAny();
  return { hadDigests: snapshots.every(({ hasDigests }) => hasDigests), digests, checkedBytes };
}

async function checkVmState(stored: StoredSnapshot, damage: DamageList, control: TaskControl): Promise<number> {
  const { vmStateBytes } = stored.reader.snapshot;
  if (stored.manifest === null && vmStateBytes > 0) {
    const expected = { target: { form: 'image', ramBytesMax: totalmem() }, capabilities: [], uuid: '' } as const;
    await readMachine({ stored, expected, damage, control });
  } else {
    for await (const _ of checkedStream(stored, { damage, control }));
  }
  return vmStateBytes;
}
