// Recorded streams that differ in their parts go through an image; test/soak/image-forwarding.test.ts takes every one.

import { it } from 'vitest';
import { expectForwarded } from '../../helpers/image-forwarding.ts';

it.each(['pc-10.0-no-vmdesc', 'pc-7.2', 'q35-10.0'])(
  'the recorded stream %s of QEMU leaves an image exactly as it arrived',
  expectForwarded,
);
