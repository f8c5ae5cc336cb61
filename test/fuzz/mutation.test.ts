// A sample of flipped bits and damaged stretches; test/soak/fuzz.test.ts flips every bit.

import { describeMutation } from '../helpers/fuzz/mutation.ts';

describeMutation({ bitStep: 53, deviceBits: 80, edits: 40, garbage: 100 });
