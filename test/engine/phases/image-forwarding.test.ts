// Recorded streams with different parts pass through an image. test/soak/image-forwarding.test.ts uses all of them.

import { it } from 'vitest';
import { expectForwarded } from '../../helpers/image-forwarding.ts';

it.each(['pc-10.0-no-vmdesc', 'pc-7.2', 'q35-10.0'])(
  'the recorded stream %s of QEMU leaves an image exactly as it arrived',
  expectForwarded,
);
