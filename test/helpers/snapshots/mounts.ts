// File systems of a test's own: small ones to fill, and ones that refuse to be written.

import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../app.ts';
import { describeNeeding } from '../needs.ts';
import { whenOver } from '../shared.ts';

/** A describe that needs file systems of its own: skipped with a notice where this process may not mount, in CI too. */
export function describeWithMounts(name: string, body: () => void): void {
  const missing = canMount() ? null : 'This process may not mount file systems (root or CAP_SYS_ADMIN may)';
  // Containers of a CI often may not, whoever runs them.
  describeNeeding({ name, missing, optional: true }, body);
}

function canMount(): boolean {
  try {
    // In a namespace of its own, which is gone with it.
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A file system of so many MiB, gone after the test, or the last of those that share it. */
export function smallDisk(mebibytes: number): string {
  const directory = join(temporaryDirectory(), 'small');
  mkdirSync(directory);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'none', directory]);
  // Lazily: a service that a failed test has left may still have files open there.
  whenOver(() => execFileSync('umount', ['--lazy', directory]));
  return directory;
}

/** From now on nothing can be written there, until it is called with false. */
export function setReadOnly(directory: string, isReadOnly: boolean): void {
  execFileSync('mount', ['-o', `remount,${isReadOnly ? 'ro' : 'rw'}`, directory]);
}

/** Takes all but `bytes` of what is free, or all there is. @returns what gives it back. */
export function fillUp(directory: string, bytes: number): () => void {
  const ballast = openSync(join(directory, 'ballast'), 'w');
  const block = Buffer.alloc(4096, 1);
  const { bavail, bsize } = statfsSync(directory);
  try {
    for (let left = bavail * bsize - bytes; left > 0; left -= block.length) writeSync(ballast, block);
  } catch (error) {
    // What else lives there may have been faster.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  return () => {
    ftruncateSync(ballast, 0);
    closeSync(ballast);
  };
}
