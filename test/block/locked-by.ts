// A separate process that opens an image for writing, reports it, and keeps it open until it is killed.

import { openImage } from '../../src/block/qcow2/open-image.ts';

await openImage(process.argv[2]!);
process.stdout.write('open\n');
setInterval(() => {}, 1000);
