// A process of its own that opens an image for writing, says so, and keeps it until it is killed.

import { openImage } from '../../src/block/qcow2/open-image.ts';

await openImage(process.argv[2]!);
process.stdout.write('open\n');
setInterval(() => {}, 1000);
