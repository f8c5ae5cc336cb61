// A sample of flipped bits and damaged stretches; test/soak/fuzz.test.ts flips every bit.

import { describeMutation } from '../helpers/fuzz/mutation.ts';

describeMutation({ bitStep: 29, deviceBits: 150, edits: 60, garbage: 200 });
