// Streams split in a few ways; test/soak/fuzz.test.ts has more of them.

import { describeChunking } from '../helpers/fuzz/chunking.ts';

describeChunking({
  recorded: ['pc-7.2', 'pc-10.0-no-vmdesc', 'pc-10.0-passes'],
  recordedRuns: 1,
  smallRuns: 10,
  singleBytesMax: 10_000,
});
