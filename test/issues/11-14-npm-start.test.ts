// npm runs a script in a shell, and hands SIGTERM on to the shell alone: the service below it went on, and its data
// directory stayed in use. Now the shell becomes the service (`exec`), which npm's signals reach; and a service that npm
// has started looks whether npm is still there, since nobody hands SIGHUP or SIGKILL on.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test.each(['SIGTERM', 'SIGKILL'] as const)('a service that npm start runs ends with npm at %s', async (signal) => {
  const { PATH, HOME, NODE_COMPILE_CACHE } = process.env;
  const flags = ['--http', '127.0.0.1:0', '--data', temporaryDirectory(), '--ram', '8M'];
  const env = { PATH, HOME, NODE_COMPILE_CACHE };
  const npm = spawn('npm', ['start', '--silent', '--', ...flags], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void npm.kill('SIGKILL'));
  let output = '';
  npm.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  await expect.poll(() => output).toContain('/docs\n');
  // Its streams are the service's too, and end when both have.
  const closed = once(npm, 'close');
  npm.kill(signal);
  await closed;
  const url = /^vmferry: (http:\S+)$/m.exec(output)?.[1] ?? '';
  await expect(fetch(url)).rejects.toThrow('fetch failed');
});
