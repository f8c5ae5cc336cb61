import { writeSync } from 'node:fs';
import type { Image } from '../../../src/block/image.ts';
import { openImage } from '../../../src/block/qcow2/open-image.ts';
import { randomNumbers } from '../../helpers/qcow2/damage.ts';
import { patterned } from '../../helpers/qcow2/history.ts';
import { SECTOR_BYTES, stamped } from '../../helpers/qcow2/stamps.ts';
import type { WriterOperation } from './writer-log.ts';

/*
 * Changes an image until it is killed. It prints one JSON line before and after each operation.
 */

const SNAPSHOTS_MAX = 6;

const [path, seed] = process.argv.slice(2) as [string, string];
const random = randomNumbers(Number(seed));
const image = await openImage(path);
const sectors = image.diskBytes / SECTOR_BYTES;
const perCluster = image.clusterBytes / SECTOR_BYTES;
let number = Number(seed) * 100_000 + 2;

for (;;) {
  const operation = nextOperation();
  tell({ ...operation, begins: true });
  await execute(image, operation);
  tell({ ...operation, begins: false });
}

function tell(line: WriterOperation & { begins: boolean }): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function nextOperation(): WriterOperation {
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

async function execute(on: Image, operation: WriterOperation): Promise<void> {
  const idOf = (name: string) => on.snapshots.find((snapshot) => snapshot.name === name)!.id;
  switch (operation.kind) {
    case 'write':
      return on.write(operation.first * SECTOR_BYTES, stamped(operation.stamp, operation.first, operation.sectors));
    case 'discard':
      return on.discard(operation.first * SECTOR_BYTES, operation.sectors * SECTOR_BYTES);
    case 'flush':
      return on.flush();
    case 'delete':
      return on.deleteSnapshot(idOf(operation.name));
    case 'apply': {
      const prepared = await on.prepareApply(idOf(operation.name));
      await prepared.commit();
      return prepared.release();
    }
    case 'snapshot': {
      const { name, salt, vmStateBytes } = operation;
      const writer = await on.beginVmState();
      await writer.append(patterned(vmStateBytes, salt));
      await on.createSnapshot({ name, vmStateBytes, dateMs: 0, clockNs: 0n, extra: new Uint8Array() });
    }
  }
}
