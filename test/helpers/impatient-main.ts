// A service with other deadlines, in its own process: `node impatient-main.ts DEADLINES FLAG…`, with the deadlines as
// JSON. The command line has no flag for them.

import type { AddressInfo } from 'node:net';
import { createApp } from '../../src/app.ts';
import { readInvocation } from '../../src/config.ts';

const [deadlines = '{}', ...flags] = process.argv.slice(2);
const invocation = readInvocation(flags, '0.0.0', {});
if (invocation.action !== 'serve') throw new Error('these flags do not start a service');
const app = await createApp(invocation.config, { deadlines: JSON.parse(deadlines) });
await app.listenHttp();
process.stdout.write(`vmferry: http://127.0.0.1:${(app.server.server.address() as AddressInfo).port}\n`);
