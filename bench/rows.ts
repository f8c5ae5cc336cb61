import type { BenchRow } from './bench.ts';
import { busyGuest } from './busy-guest.bench.ts';
import { costPerGib } from './cost-per-gib.bench.ts';
import { fileStream } from './file-stream.bench.ts';
import { memory } from './memory.bench.ts';
import { polling } from './polling.bench.ts';
import { pollingCrowd } from './polling-crowd.bench.ts';
import { precopyRandom } from './precopy-random.bench.ts';
import { precopyZero } from './precopy-zero.bench.ts';
import { snapshotLoad } from './snapshot-load.bench.ts';
import { snapshotPolling } from './snapshot-polling.bench.ts';
import { snapshotRestore } from './snapshot-restore.bench.ts';
import { snapshotSave } from './snapshot-save.bench.ts';
import { start } from './start.bench.ts';

/** Every row, in the order of the table. */
export const ROWS: readonly BenchRow[] = [
  precopyRandom,
  precopyZero,
  fileStream,
  snapshotSave,
  snapshotLoad,
  snapshotRestore,
  snapshotPolling,
  busyGuest,
  polling,
  pollingCrowd,
  memory,
  start,
  costPerGib,
];
