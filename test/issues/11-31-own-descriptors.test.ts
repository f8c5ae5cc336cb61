// `--fd x=N` accepted any open descriptor, including internal ones of Node (an event queue, a pipe of its signal
// handling). A migration through such a descriptor could end the process by SIGSEGV. Now the process lists its
// descriptors before it opens any, and accepts only inherited sockets and pipes.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { startProcess } from '../helpers/guest-service.ts';
import { socketPath } from '../helpers/transports.ts';

/** Prints, for each descriptor that is open when it starts, whether it is claimed or why not. */
const LOOK = `
  import { readdirSync } from 'node:fs';
  import { claimDescriptors } from './src/config/given-flags.ts';
  for (const name of readdirSync('/proc/self/fd')) {
    try { claimDescriptors(new Map([['x', Number(name)]])); console.log(name, 'claimed'); }
    catch (error) { console.log(name, error.message); }
  }`;

async function listening(): Promise<net.Server> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(socketPath(), resolve));
  onTestFinished(() => void server.close());
  return server;
}

test('exactly the descriptors that a process inherited are claimed, whatever their numbers', async () => {
  const server = await listening();
  const socket = net.connect(server.address() as string);
  await once(socket, 'connect');
  onTestFinished(() => void socket.destroy());
  const shell = 'exec 17< <(sleep 0); exec 5> >(cat >/dev/null); exec "$@"';
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', shell, 'bash', process.execPath, '--input-type=module', '-e', LOOK],
    {
      stdio: ['ignore', 'pipe', 'pipe', (socket as unknown as { _handle: { fd: number } })._handle.fd],
      encoding: 'utf8',
    },
  );
  const claimed = [...stdout.matchAll(/^(\d+) claimed$/gm)]
    .map(([, name]) => Number(name))
    .filter((fd) => fd > 2 && fd < 100);
  expect(
    claimed.toSorted((a, b) => a - b),
    `${stdout}${stderr}`,
  ).toEqual([3, 5, 17]);
  expect(stdout.split('\n').length).toBeGreaterThan(15);
  expect(stdout).toMatch(/^\d+ --fd x=\d+: it is neither a socket nor a pipe$/m);
  expect(stdout).toMatch(/^\d+ --fd x=\d+: both ends of this pipe are in this process/m);
});

test.each([
  [['--fd', 'x=4'], /^vmferry: --fd x=4: it is neither a socket nor a pipe$/m],
  [['--fd', 'x=99'], /^vmferry: --fd x=99: no such descriptor is open$/m],
])('a service with %j does not start, and reports the reason', async (flags, line) => {
  const data = temporaryDirectory();
  const child = startProcess(`${data}/d`, flags);
  let errors = '';
  child.stderr?.on('data', (chunk) => (errors += String(chunk)));
  const [status] = await once(child, 'close');
  expect([status, errors]).toEqual([2, expect.stringMatching(line)]);
  expect(readdirSync(data)).toEqual([]);
});
