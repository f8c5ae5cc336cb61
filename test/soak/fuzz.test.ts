// Every cut, every flipped bit, and many splits of a stream. test/fuzz has short versions.

import { describeChunking } from '../helpers/fuzz/chunking.ts';
import { describeMutation } from '../helpers/fuzz/mutation.ts';
import { describeTruncation } from '../helpers/fuzz/truncation.ts';

describeTruncation({
  step: 1,
  insideRam: 1,
  recorded: ['isapc-10.0', 'pc-7.2', 'pc-10.0-return-path', 'pc-10.0-no-vmdesc'],
});
describeChunking({
  recorded: ['pc-10.0-devices', 'pc-7.2', 'q35-10.0', 'pc-10.0-no-vmdesc', 'pc-10.0-passes'],
  recordedRuns: 50,
  smallRuns: 1000,
  singleBytesMax: Number.POSITIVE_INFINITY,
});
describeMutation({ bitStep: 1, deviceBits: 5000, edits: 3000, garbage: 10_000 });
