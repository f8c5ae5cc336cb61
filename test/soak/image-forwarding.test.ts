// Every readable recorded stream of QEMU passes into an image and out of it.

import { it } from 'vitest';
import { expectForwarded } from '../helpers/image-forwarding.ts';
import { streamFixtureNames } from '../helpers/qemu/fixtures.ts';

const NOT_DONE = ['pc-10.0-ignore-shared', 'pc-10.0-xbzrle'];

it.each(streamFixtureNames().filter((name) => !NOT_DONE.includes(name)))(
  'the recorded stream %s of QEMU leaves an image exactly as it arrived',
  expectForwarded,
);
