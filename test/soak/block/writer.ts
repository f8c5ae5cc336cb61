import { writeSync } from 'node:fs';
import type { Image } from '../../../src/block/image.ts';
import { openImage } from '../../../src/block/qcow2/open-image.ts';
import { randomNumbers } from '../../helpers/qcow2/damage.ts';
import { patterned } from '../../helpers/qcow2/history.ts';
import { SECTOR_BYTES, stamped } from '../../helpers/qcow2/stamps.ts';
import type { Deed } from './deeds.ts';

/*
 * Changes an image for ever, to be killed: tells what it is about to do, one JSON line each, and that it is done with it.
 */

const SNAPSHOTS_MAX = 6;

const [path, seed] = process.argv.slice(2) as [string, string];
const random = randomNumbers(Number(seed));
const image = await openImage(path);
const sectors = image.diskBytes / SECTOR_BYTES;
const perCluster = image.clusterBytes / SECTOR_BYTES;
let number = Number(seed) * 100_000 + 2;

for (;;) {
  const deed = nextDeed();
  tell({ ...deed, begins: true });
  await carryOut(image, deed);
  tell({ ...deed, begins: false });
}

function tell(line: Deed & { begins: boolean }): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function nextDeed(): Deed {
  number += 1;
  const chosen = random();
  const name = image.snapshots[Math.floor(random() * image.snapshots.length)]?.name;
  if (chosen < 0.04) return { kind: 'flush' };
  if (chosen < 0.22 && image.snapshots.length < SNAPSHOTS_MAX) {
    const vmStateBytes = Math.floor(random() ** 2 * 20 * image.clusterBytes);
    return { kind: 'snapshot', name: `s${number}`, salt: number % 256, vmStateBytes };
  }
  if (chosen < 0.36 && name !== undefined) return { kind: 'apply', name };
  if (chosen < 0.52 && name !== undefined) return { kind: 'delete', name };
  const first = Math.floor(random() * sectors);
  const length = Math.min(sectors - first, 1 + Math.floor(random() ** 2 * 20 * perCluster));
  return { kind: chosen < 0.6 ? 'discard' : 'write', first, sectors: length, stamp: number };
}

async function carryOut(on: Image, deed: Deed): Promise<void> {
  const idOf = (name: string) => on.snapshots.find((snapshot) => snapshot.name === name)!.id;
  switch (deed.kind) {
    case 'write':
      return on.write(deed.first * SECTOR_BYTES, stamped(deed.stamp, deed.first, deed.sectors));
    case 'discard':
      return on.discard(deed.first * SECTOR_BYTES, deed.sectors * SECTOR_BYTES);
    case 'flush':
      return on.flush();
    case 'delete':
      return on.deleteSnapshot(idOf(deed.name));
    case 'apply': {
      const prepared = await on.prepareApply(idOf(deed.name));
      await prepared.commit();
      return prepared.release();
    }
    case 'snapshot': {
      const { name, salt, vmStateBytes } = deed;
      const writer = await on.beginVmState();
      await writer.append(patterned(vmStateBytes, salt));
      await on.createSnapshot({ name, vmStateBytes, dateMs: 0, clockNs: 0n, extra: new Uint8Array() });
    }
  }
}
