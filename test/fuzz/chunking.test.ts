// Streams split in a few ways; test/soak/fuzz.test.ts has more of them.

import { describeChunking } from '../helpers/fuzz/chunking.ts';

describeChunking({ recordedRuns: 1, smallRuns: 10, singleBytesMax: 10_000 });
