// npm runs a script in a shell and forwards SIGTERM to the shell only. The service below the shell continued to run,
// and its data directory stayed in use. Now the shell is replaced by the service (`exec`), so the signals of npm
// reach it. A service that npm has started also checks whether npm still runs, because nothing forwards SIGHUP or
// SIGKILL.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'a service that was started by npm start ends when npm gets %s',
  async (signal) => {
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
  },
);
