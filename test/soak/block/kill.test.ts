// kill -9 of a process that writes, snapshots, applies and deletes: at most clusters leak, and all confirmed data
// exists.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { createImage, openImage } from '../../../src/block/qcow2/open-image.ts';
import { randomNumbers } from '../../helpers/qcow2/damage.ts';
import { imageDirectory } from '../../helpers/qcow2/directory.ts';
import { CLEAN, check } from '../../helpers/qcow2/tools.ts';
import { WriterLog, type WriterOperation } from './writer-log.ts';

const WRITER = fileURLToPath(new URL('./writer.ts', import.meta.url));
const LINES_MAX = 80;
/** Half of the kills follow within this time after the start of the next snapshot, apply, delete or flush. */
const DELAY_MS_MAX = 12;

type Told = WriterOperation & { begins: boolean };

/** Starts the writer and kills it at this number of lines, or some time later. @returns all its lines. */
async function writeUntilKilled(
  path: string,
  of: { seed: number; lines: number; delayMs: number | null },
): Promise<Told[]> {
  const child: ChildProcess = spawn(process.execPath, [WRITER, path, String(of.seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  const gone = once(child, 'exit');
  const told: Told[] = [];
  let timer: NodeJS.Timeout | null = null;
  for await (const line of createInterface({ input: child.stdout! })) {
    const operation = JSON.parse(line) as Told;
    told.push(operation);
    if (told.length < of.lines || timer !== null) continue;
    if (of.delayMs === null) child.kill('SIGKILL');
    else if (operation.begins && operation.kind !== 'write')
      timer = setTimeout(() => child.kill('SIGKILL'), of.delayMs);
  }
  expect(await gone, JSON.stringify(told.at(-1))).toEqual([null, 'SIGKILL']);
  return told;
}

test.each([
  { kills: 200, bits: 12 },
  { kills: 60, bits: 9 },
  { kills: 60, bits: 16 },
])('$kills kills while clusters of 2^$bits bytes are written lose no confirmed data', async ({ kills, bits }) => {
  const path = join(imageDirectory(), 'disk.qcow2');
  const diskBytes = 24 * 65_536 + 1024;
  await createImage(path, { diskBytes, clusterBits: bits });
  const log = new WriterLog(diskBytes, 2 ** bits);
  const random = randomNumbers(bits);
  let [operations, leaked, snapshots] = [0, 0, 0];
  for (let round = 1; round <= kills; round += 1) {
    const lines = 1 + Math.floor(random() * LINES_MAX);
    const delayMs = round % 2 === 0 ? null : random() * DELAY_MS_MAX;
    const told = await writeUntilKilled(path, { seed: round, lines, delayMs });
    for (const line of told) log.take(line);
    const what = `round ${round} with clusters of 2^${bits}, killed in ${JSON.stringify(told.at(-1))}`;
    const left = await check(path);
    expect({ ...left, leaks: 0 }, what).toEqual(CLEAN);
    const image = await openImage(path);
    try {
      expect(await check(path), what).toEqual(CLEAN);
      expect(image.repaired?.leakedClusters ?? 0, what).toBeGreaterThanOrEqual(left.leaks);
      await log.settleWith(image, what);
    } finally {
      await image.close();
    }
    operations += told.length / 2;
    leaked += Number(left.leaks > 0);
    snapshots += log.snapshots;
  }
  console.log(
    `2^${bits}: ${kills} kills in ${Math.floor(operations)} operations, ${leaked} with leaks, ${snapshots} snapshots compared`,
  );
  // The number depends on the moments of the kills; 0 would mean that no kill interrupted an operation.
  expect(leaked).toBeGreaterThan(0);
  expect(snapshots).toBeGreaterThan(kills);
});
