// Migrations that nobody touches, of guests with any number of vCPUs, segments of RAM and fill.

import { test } from 'vitest';
import { expectSameThere } from '../helpers/direct-migration.ts';
import { MIB } from '../machine/guest-bench.ts';

const WORKLOAD = { rate: 10 * MIB, span: 5 * MIB } as const;

test.each([
  ['one vCPU', { vcpus: 1 }, {}],
  ['three vCPUs', { vcpus: 3 }, {}],
  [
    'RAM in four segments here and in three there',
    { vcpus: 2, segmentBytesMax: 2 * MIB },
    { segmentBytesMax: 3 * MIB },
  ],
  ['RAM in eight segments, to one', { segmentBytesMax: MIB }, { segmentBytesMax: 64 * MIB }],
  ['RAM in one segment, to many', {}, { segmentBytesMax: MIB }],
  ['RAM full of noise', { workload: { ...WORKLOAD, fill: 'random' as const } }, {}],
  ['RAM full of text', { workload: { ...WORKLOAD, fill: 'text' as const } }, {}],
])(
  'a migration gives the target the same memory, in which the guest finds nothing wrong: %s',
  async (_, options, there) => {
    await expectSameThere({ workload: WORKLOAD, ...options }, there);
  },
);
