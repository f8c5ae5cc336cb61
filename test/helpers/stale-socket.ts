// A socket file of a killed service: it exists, and nothing listens on it.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const PROGRAM =
  "require('node:net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";

export function crashedSocket(directory: string): string {
  const path = join(directory, 'stale');
  spawnSync(process.execPath, ['-e', PROGRAM, path]);
  return path;
}
