import type { BenchRow } from './bench.ts';
import { precopyRandom } from './precopy-random.bench.ts';
import { precopyZero } from './precopy-zero.bench.ts';

/** Every row, in the order of the table. */
export const ROWS: readonly BenchRow[] = [precopyRandom, precopyZero];
