import type { DamageList } from './damage-list.ts';
import { allocatedGranules, type DiskDigests, granuleBytesOf, readGranules } from './disk-digests.ts';
import { fileOffsetOf, type StoredSnapshot } from './stored-snapshot.ts';
import type { TaskControl } from './task-control.ts';

/** Holds a snapshot's disk against its digests, where it has any. @returns the bytes that were checked. */
export async function checkDisk(stored: StoredSnapshot, damage: DamageList, control: TaskControl): Promise<number> {
  const { manifest, reader } = stored;
  if (manifest === null) return 0;
  const { runs, granuleBytes, diskBytes } = manifest.disk;
  const wanted = runs.map(({ firstGranule, crcs }) => ({ first: firstGranule, count: crcs.length }));
  const bytes = granuleBytesOf(wanted, granuleBytes, diskBytes);
  control.addTotal(bytes);
  const crcs = expectedCrcs(manifest.disk);
  for await (const reading of readGranules(reader, { runs: wanted, granuleBytes, diskBytes }, control)) {
    const expected = crcs.next().value;
    if (reading.crc === expected) continue;
    const what =
      reading.crc instanceof Error
        ? `it cannot be read, ${reading.crc.message}`
        : 'what was stored is not what is there';
    damage.add(await reportOf(stored, reading.granule, granuleBytes), what);
  }
  await findStrangers(stored, manifest.disk, damage);
  return bytes;
}

function* expectedCrcs({ runs }: DiskDigests): Generator<number> {
  for (const { crcs } of runs) yield* crcs;
}

/** Granules that have content now and had none when the snapshot was taken. */
async function findStrangers(stored: StoredSnapshot, disk: DiskDigests, damage: DamageList): Promise<void> {
  let index = 0;
  for (const { first, count } of await allocatedGranules(stored.reader, disk.granuleBytes)) {
    for (let granule = first; granule < first + count; granule += 1) {
      let run = disk.runs[index];
      while (run !== undefined && granule >= run.firstGranule + run.crcs.length) {
        index += 1;
        run = disk.runs[index];
      }
      if (run !== undefined && granule >= run.firstGranule) continue;
      damage.add(await reportOf(stored, granule, disk.granuleBytes), 'there is content where none was stored');
    }
  }
}

async function reportOf({ node, reader }: StoredSnapshot, granule: number, granuleBytes: number) {
  const offset = granule * granuleBytes;
  const bytes = Math.min(granuleBytes, reader.snapshot.diskBytes - offset);
  const fileOffset = await fileOffsetOf(reader.fileOffsetOfDisk(offset));
  return { node, ramBlock: null, area: 'disk', offset, bytes, fileOffset } as const;
}
