// Kinds of damage to the sample image: every field with extreme values, every pointer with an invalid target.

import { deflateRawSync } from 'node:zlib';
import { COMPRESSED, COPIED, type Draft, type Places, SECOND_ROW, sampleImage, snapshotRow } from './draft.ts';

export type Damage = {
  readonly name: string;
  readonly spoil: (draft: Draft, places: Places) => void;
  /** What opening for writing must say; where it is left out, any refusal and any repair is right. */
  readonly opens?: 'refused' | 'repaired' | 'whole';
};

const NUMBERS_32 = [0, 1, 2, 3, 7, 9, 22, 63, 64, 103, 105, 1023, 65_536, 65_537, 2 ** 22 + 1, 2 ** 31, 2 ** 32 - 1];
const NUMBERS_64 = [0n, 1n, 511n, 512n, 2n ** 32n, 2n ** 53n - 512n, 2n ** 53n, 2n ** 55n];
const LARGE_64 = [
  2n ** 56n - 512n,
  2n ** 56n,
  2n ** 62n,
  2n ** 63n,
  2n ** 63n - 512n,
  2n ** 64n - 512n,
  2n ** 64n - 1n,
];

const HEADER_32 = {
  magic: 0,
  version: 4,
  'backing name length': 16,
  'cluster bits': 20,
  encryption: 32,
  'L1 entries': 36,
  'refcount table clusters': 56,
  'snapshot count': 60,
  'refcount order': 96,
  'header length': 100,
  'compression type': 104,
} as const;

const HEADER_64 = {
  'backing name offset': 8,
  'disk size': 24,
  'L1 offset': 40,
  'refcount table offset': 48,
  'snapshot table offset': 64,
  'incompatible features': 72,
  'compatible features': 80,
  'autoclear features': 88,
} as const;

/** Every header field with extreme values, and every pointer in it with every place of the image. */
export function headerDamages(): Damage[] {
  const narrow = Object.entries(HEADER_32).flatMap(([field, at]) =>
    NUMBERS_32.map((value) => damage(`header: ${field} is ${value}`, (draft) => draft.put32(at, value))),
  );
  const wide = Object.entries(HEADER_64).flatMap(([field, at]) =>
    [...NUMBERS_64, ...LARGE_64].map((value) =>
      damage(`header: ${field} is ${hex(value)}`, (draft) => draft.put64(at, value)),
    ),
  );
  const pointers = (['L1 offset', 'refcount table offset', 'snapshot table offset'] as const).flatMap((field) =>
    targets().map(([target, value]) =>
      damage(`header: ${field} is ${target}`, (draft, places) => draft.put64(HEADER_64[field], value(draft, places))),
    ),
  );
  const features = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => bit < 8 || bit % 16 === 15);
  const bits = features.map((bit) =>
    damage(`header: incompatible feature ${bit}`, (draft) => draft.put64(72, 1n << BigInt(bit))),
  );
  return [...narrow, ...wide, ...pointers, ...bits];
}

/** Header extensions that are too long, endless, or of features that are not there. */
export function extensionDamages(): Damage[] {
  const types = { end: 0, backing: 0xe279_2aca, names: 0x6803_f857, bitmaps: 0x2385_2875, luks: 0x0537_be77 };
  const all = { ...types, 'data file': 0x4441_5441, unknown: 0x7777_7777 } as const;
  return Object.entries(all).flatMap(([name, type]) =>
    [0, 1, 7, 24, 400, 512, 2 ** 31 - 1, 2 ** 32 - 8, 2 ** 32 - 1].map((length) =>
      damage(`header: extension ${name} of ${length} bytes`, (draft) => draft.put32(112, type).put32(116, length)),
    ),
  );
}

const TABLE_ENTRIES = {
  'active L1': (places: Places) => places.activeL1,
  'active L1 beyond the disk': (places: Places) => places.activeL1 + 16,
  'own L2': (places: Places) => places.ownL2,
  'own L2 with its second entry': (places: Places) => places.ownL2 + 8,
  'shared L2': (places: Places) => places.sharedL2,
  "snapshot's L1": (places: Places) => places.firstL1,
  "snapshot's L1 beyond the disk": (places: Places) => places.firstL1 + 16,
  "snapshot's L2": (places: Places) => places.snapshotL2,
  'VM state L2': (places: Places) => places.vmStateL2,
  'refcount table': (places: Places) => places.refcountTable,
  'second refcount table entry': (places: Places) => places.refcountTable + 8,
} as const;

/** One entry of each table with every other place, with offsets far away, and with reserved bits. */
export function tableDamages(): Damage[] {
  // Bits 1 to 8 are reserved in all tables, 56 and 57 in all but the refcount table, where they lead outside.
  const alwaysWrong = [1, 5, 8, 56, 57];
  const bits = [0, ...alwaysWrong, 61, 62, 63];
  return Object.entries(TABLE_ENTRIES).flatMap(([table, at]) => [
    ...targets().flatMap(([target, value]) => [
      damage(`${table}: points to ${target}`, (draft, places) => draft.put64(at(places), value(draft, places))),
      damage(`${table}: points to ${target}, copied`, (draft, places) => {
        draft.put64(at(places), value(draft, places) | COPIED);
      }),
    ]),
    ...[...NUMBERS_64, ...LARGE_64].map((value) =>
      damage(`${table}: is ${hex(value)}`, (draft, places) => draft.put64(at(places), value)),
    ),
    damage(`${table}: is copied and points nowhere`, (draft, places) => draft.put64(at(places), COPIED)),
    ...bits.map((bit) =>
      damage(
        `${table}: has bit ${bit} turned over`,
        (draft, places) => draft.put64(at(places), draft.get64(at(places)) ^ (1n << BigInt(bit))),
        alwaysWrong.includes(bit) ? 'refused' : undefined,
      ),
    ),
  ]);
}

/** All entries of a table the same: many references to one cluster, tables in circles, tables that are their own. */
export function floodDamages(): Damage[] {
  const tables = (
    ['activeL1', 'ownL2', 'sharedL2', 'firstL1', 'snapshotL2', 'vmStateL2', 'refcountTable'] as const
  ).map((name) => ({ name, at: (places: Places) => places[name] }));
  return tables.flatMap(({ name, at }) => [
    ...targets().map(([target, value]) =>
      damage(`${name}: every entry points to ${target}`, (draft, places) => {
        for (let entry = 0; entry < draft.entries; entry += 1)
          draft.put64(at(places) + entry * 8, value(draft, places));
      }),
    ),
    ...[0x00, 0x01, 0x55, 0x80, 0xff].map((byte) =>
      damage(`${name}: is full of ${byte}`, (draft, places) => {
        draft.put(at(places), Buffer.alloc(draft.clusterBytes, byte));
      }),
    ),
  ]);
}

/** Reference counts that are too low, too high or the highest possible, for every cluster of the image. */
export function countDamages(): Damage[] {
  const { draft: right, places } = sampleImage();
  const table = (Object.keys(places) as (keyof Places)[]).flatMap((name) =>
    [0, 1, 2, 3, 5, 65_535].map((count) =>
      damage(
        `count of ${name} is ${count}`,
        (draft, at) => draft.setCount(at[name], count),
        right.get16(right.countOffset(places[name])) === count ? 'whole' : 'repaired',
      ),
    ),
  );
  const each = (name: string, count: (before: number) => number) =>
    damage(
      name,
      (draft) => {
        for (let at = 0; at < draft.end; at += draft.clusterBytes) {
          draft.setCount(at, count(draft.get16(draft.countOffset(at))));
        }
      },
      'repaired',
    );
  return [
    ...table,
    damage('count of the header is 0', (draft) => draft.setCount(0, 0), 'repaired'),
    damage('clusters behind the end are counted', (draft) => draft.setCount(draft.end, 1).setCount(draft.end + 512, 7)),
    each('every count is 0', () => 0),
    each('every count is 1', () => 1),
    each('every count is one too high', (before) => before + 1),
    each('every count is one too low', (before) => Math.max(0, before - 1)),
    each('every count is the highest', () => 65_535),
    damage('the refcount table has no block', (draft, { refcountTable }) => draft.put64(refcountTable, 0)),
    damage('two entries of the refcount table are the same block', (draft, { refcountTable }) => {
      draft.put64(refcountTable + 8, draft.get64(refcountTable));
    }),
  ];
}

const ROW_FIELDS = { 'id length': [12, 2], 'name length': [14, 2], 'date seconds': [16, 4] } as const;
const ROW_FIELDS_MORE = { 'date nanoseconds': [20, 4], 'VM state size': [32, 4], 'extra length': [36, 4] } as const;

/** Fields of the snapshot table, names over long, and tables with too many rows. */
export function snapshotDamages(): Damage[] {
  const narrow = Object.entries({ ...ROW_FIELDS, ...ROW_FIELDS_MORE, 'L1 entries': [8, 4] as const }).flatMap(
    ([field, [at, bytes]]) =>
      [0, 1, 2, 15, 16, 23, 25, 1024, 1025, 65_535, 2 ** 22, 2 ** 22 + 1, 2 ** 31, 2 ** 32 - 1]
        .filter((value) => value < 2 ** (8 * bytes))
        .flatMap((value) =>
          [0, SECOND_ROW].map((row) =>
            damage(`snapshot row at ${row}: ${field} is ${value}`, (draft, { snapshotTable }) => {
              if (bytes === 2) draft.put16(snapshotTable + row + at, value);
              else draft.put32(snapshotTable + row + at, value);
            }),
          ),
        ),
  );
  const wide = Object.entries({ 'L1 offset': 0, clock: 24, 'VM state size': 40, 'disk size': 48, icount: 56 });
  const values = [...[...NUMBERS_64, ...LARGE_64].map((value) => [hex(value), () => value] as const), ...targets()];
  return [
    ...narrow,
    ...wide.flatMap(([field, at]) =>
      values.map(([name, value]) =>
        damage(`snapshot: ${field} is ${name}`, (draft, places) => {
          draft.put64(places.snapshotTable + at, value(draft, places));
        }),
      ),
    ),
    // Reading it would take for ever, and applying it all memory.
    damage(
      'snapshot: a disk far larger than its L1 table',
      (draft, { snapshotTable }) => draft.put64(snapshotTable + 48, 2 ** 52),
      'refused',
    ),
    damage('snapshot: both have the same id', (draft, { snapshotTable }) => {
      draft.put(snapshotTable + SECOND_ROW + 64 + 8, Buffer.from('1'));
    }),
    damage('snapshot: a name of 60000 bytes', (draft, places) => longTable(draft, places, { rows: 1, name: 60_000 })),
    damage('snapshot: 3000 rows of one L1', (draft, places) => longTable(draft, places, { rows: 3000, name: 1 })),
    damage('snapshot: 65536 rows are told of, 100 there', (draft, places) => {
      longTable(draft, places, { rows: 100, name: 1 });
      draft.put32(60, 65_536);
    }),
    damage('snapshot: the other snapshot has the same L1, counted', (draft, { snapshotTable, firstL1, secondL1 }) => {
      draft
        .put64(snapshotTable + SECOND_ROW, firstL1)
        .setCount(firstL1, 2)
        .setCount(secondL1, 0);
    }),
  ];
}

function longTable(draft: Draft, places: Places, { rows, name }: { rows: number; name: number }): void {
  const row = (index: number) => {
    const fields = {
      l1: places.secondL1,
      l1Entries: 2,
      vmStateBytes: 0,
      diskBytes: 2 * draft.entries * draft.clusterBytes,
    };
    return snapshotRow({ ...fields, id: String(index + 1), name: 'n'.repeat(name) });
  };
  const table = Buffer.concat(Array.from({ length: rows }, (_, index) => row(index)));
  const at = draft.allocate(Math.min(100, Math.ceil(table.length / draft.clusterBytes)));
  draft.put(at, table).put32(60, rows).put64(64, at);
}

/** Two structures in one place, with counts that fit: QEMU's check is content, and the first write would do harm. */
export function overlapDamages(): Damage[] {
  const together = (name: string, spoil: Damage['spoil']) => damage(`overlap: ${name}`, spoil, 'refused');
  return [
    together("the active L1 is the snapshot's", (draft, places) => {
      draft.put64(40, places.firstL1).setCount(places.firstL1, 2).setCount(places.activeL1, 0);
    }),
    together('a cluster of the disk is the active L1', (draft, places) => {
      draft.put64(places.ownL2 + 48, places.activeL1).addCount(places.activeL1, 1);
    }),
    together('a cluster of the disk is an L2 table', (draft, places) => {
      draft
        .put64(places.ownL2 + 48, places.ownL2)
        .addCount(places.ownL2, 1)
        .put64(places.activeL1, places.ownL2);
    }),
    together('a cluster of the disk is the refcount block', (draft, places) => {
      draft.put64(places.ownL2 + 48, places.refcountBlock).addCount(places.refcountBlock, 1);
    }),
    together('a cluster of the disk is the header', (draft, places) => {
      draft.put64(places.ownL2 + 48, COMPRESSED).addCount(0, 1);
    }),
    together('a cluster of the disk is the snapshot table', (draft, places) => {
      draft.put64(places.ownL2 + 48, places.snapshotTable).addCount(places.snapshotTable, 1);
    }),
    together('a compressed cluster lies in the refcount table', (draft, places) => {
      draft
        .put64(places.ownL2 + 48, draft.compressedEntry(places.refcountTable, 100))
        .addCount(places.refcountTable, 1);
    }),
    together('the snapshot table lies in a cluster of the disk', (draft, places) => {
      draft
        .put64(64, places.ownData)
        .put(places.ownData, draft.finish().subarray(places.snapshotTable).subarray(0, 200));
      draft.addCount(places.ownData, 1).setCount(places.snapshotTable, 0);
      draft.put64(places.ownL2, places.ownData);
    }),
    together("an L2 table of the active disk is the snapshot's L1", (draft, places) => {
      draft.put64(places.activeL1, places.firstL1).addCount(places.firstL1, 1);
    }),
  ];
}

/** Compressed clusters that are none, reach beyond the end, or are far too long once unpacked. */
export function compressedDamages(): Damage[] {
  const entry = (name: string, value: (draft: Draft, places: Places) => bigint) =>
    damage(`compressed: ${name}`, (draft, places) => draft.put64(places.ownL2 + 32, value(draft, places)));
  return [
    entry('begins behind the end', (draft) => draft.compressedEntry(draft.end + 4096, 100)),
    entry('begins at the end', (draft) => draft.compressedEntry(draft.end, 100)),
    entry('reaches beyond the end', (draft) => draft.compressedEntry(draft.end - 10, 600)),
    entry('as far away as can be written', () => 2n ** 63n - 1n),
    entry('is copied too', (draft, places) => draft.compressedEntry(places.compressed, 100) | COPIED),
    entry('is no compressed data', (draft, places) => draft.compressedEntry(places.ownData, 512)),
    entry('is zeros only', (draft, places) => draft.compressedEntry(places.vmState + 1300, 100)),
    entry('begins at an odd byte', (draft, places) => draft.compressedEntry(places.compressed + 3, 100)),
    damage('compressed: has too few bytes', (draft, { compressed }) => {
      draft.put(compressed, deflateRawSync(Buffer.alloc(100, 1)));
    }),
    damage('compressed: has too many bytes', (draft, { compressed }) => {
      draft.put(compressed, deflateRawSync(Buffer.alloc(20_000, 1)));
    }),
    damage('compressed: is cut off', (draft, { compressed }) => draft.put(compressed + 4, Buffer.alloc(80, 0xff))),
    damage('compressed: unpacks to 256 MiB in every cluster of the disk', (draft, { ownL2 }) => {
      const bomb = deflateRawSync(Buffer.alloc(2 ** 28), { windowBits: 12 });
      const at = draft.allocate(Math.ceil(bomb.length / draft.clusterBytes), draft.entries - 1);
      draft.put(at, bomb);
      const value = draft.compressedEntry(at, Math.min(bomb.length, 2 * draft.clusterBytes));
      for (let index = 1; index < draft.entries; index += 1) draft.put64(ownL2 + index * 8, value);
    }),
  ];
}

/** Backing files that do not exist, are the image itself, or would open something else than a file. */
export function backingDamages(self: string): Damage[] {
  const named = (name: string) =>
    damage(`backing file: ${JSON.stringify(name.slice(0, 60))} of ${name.length} bytes`, (draft) => {
      draft
        .put64(8, 160)
        .put32(16, name.length)
        .put(160, Buffer.from(name).subarray(0, draft.clusterBytes - 160));
    });
  const places = [
    'missing.qcow2',
    self,
    `./${self}`,
    '/dev/zero',
    '/dev/stdin',
    '/dev/tty',
    '/proc/self/mem',
    '/',
    '.',
    '',
  ];
  const protocols = ['json:{"driver":"null-co"}', 'nbd://127.0.0.1:1/x', 'fat:rw:/etc', 'file:missing', 'fd:0', 'a\0b'];
  return [...places, ...protocols, 'x'.repeat(300), 'y'.repeat(1023), '../'.repeat(100)].map(named);
}

/** Every other cut of the file below 1 KiB from its start and its end, and one in every 97 bytes between. */
export function truncations(bytes: number): Damage[] {
  const lengths = new Set<number>();
  for (let at = 0; at < 136; at += 8) lengths.add(at).add(at + 3);
  for (let at = 136; at < bytes; at += 487) lengths.add(at);
  for (let at = 512; at <= bytes; at += 512) lengths.add(at - 1).add(at);
  return [...lengths].map((length) => damage(`the file ends at ${length}`, (draft) => draft.cut(length)));
}

/** Random bits turned over, one to four at a time, most of them in tables. */
export function bitFlips(count: number, seed: number): Damage[] {
  const random = randomNumbers(seed);
  return Array.from({ length: count }, () => {
    const bits = Array.from({ length: 1 + Math.floor(random() * 4) }, () => random());
    return damage(`bits turned over at ${bits.map((part) => part.toFixed(6)).join(', ')} of the file`, (draft) => {
      // The tables lie in the first half.
      for (const part of bits) draft.flip(Math.floor(part * draft.end * (part > 0.5 ? 8 : 4)));
    });
  });
}

/** Numbers from 0 to 1, the same ones for the same seed. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Target = readonly [name: string, value: (draft: Draft, places: Places) => bigint];

/** All places of the image, and some that lie outside. */
function targets(): Target[] {
  const names = Object.keys(sampleImage().places) as (keyof Places)[];
  return [
    ...names.map((name): Target => [name, (_, places) => BigInt(places[name])]),
    ['the last cluster', (draft) => BigInt(draft.end - draft.clusterBytes)],
    ['the end of the file', (draft) => BigInt(draft.end)],
    ['a cluster behind the end', (draft) => BigInt(draft.end + draft.clusterBytes)],
  ];
}

function damage(name: string, spoil: (draft: Draft, places: Places) => unknown, opens?: Damage['opens']): Damage {
  return {
    name,
    spoil: (draft, places) => {
      spoil(draft, places);
    },
    ...(opens === undefined ? {} : { opens }),
  };
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
