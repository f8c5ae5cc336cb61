// Node loads worker threads by stripping the types of each file and compiling it. With a cache it does this once, and
// not for each of the many workers of the tests.

import { fileURLToPath } from 'node:url';

// Workers of this process read it when they start, and so do the services that it starts.
process.env.NODE_COMPILE_CACHE ??= fileURLToPath(new URL('../../node_modules/.cache/vmferry-tests', import.meta.url));
