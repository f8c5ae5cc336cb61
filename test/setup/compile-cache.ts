// Worker threads are loaded by Node, which strips the types of each file and compiles it: with a cache once, and not for
// each of the many workers that tests start.

import { fileURLToPath } from 'node:url';

// Workers of this process read it when they start, and so do the services that it starts.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../../node_modules/.cache/vmferry-tests', import.meta.url));
