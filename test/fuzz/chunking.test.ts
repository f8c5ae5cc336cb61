// Streams split in a few ways; test/soak/fuzz.test.ts has more of them.

import { describeChunking } from '../helpers/fuzz/chunking.ts';

describeChunking({ recordedRuns: 2, smallRuns: 40, singleBytesMax: 20_000 });
