// Streams cut at a sample of lengths, and at every byte by one reader; test/soak/fuzz.test.ts has a reader for every byte.

import { describeTruncation } from '../helpers/fuzz/truncation.ts';

describeTruncation({ step: 151, insideRam: 509, recorded: ['pc-10.0-no-vmdesc'] });
