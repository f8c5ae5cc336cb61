// File systems for tests: small ones that can be filled, and ones that refuse writes.

import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryDirectory } from '../app.ts';
import { describeNeeding } from '../needs.ts';
import { whenOver } from '../shared.ts';

/** A describe that needs its own file systems: skipped with a notice if this process may not mount, also in CI. */
export function describeWithMounts(name: string, body: () => void): void {
  const missing = canMount() ? null : 'This process may not mount file systems (root or CAP_SYS_ADMIN may)';
  // Containers of a CI often lack this permission, even for root.
  describeNeeding({ name, missing, optional: true }, body);
}

function canMount(): boolean {
  try {
    // In its own namespace, which ends with it.
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** A file system of so many MiB, removed after the test or after the last test that shares it. */
export function smallDisk(mebibytes: number): string {
  const directory = join(temporaryDirectory(), 'small');
  mkdirSync(directory);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'none', directory]);
  // A lazy unmount: a service of a failed test may still have open files there.
  whenOver(() => execFileSync('umount', ['--lazy', directory]));
  return directory;
}

/** Makes the file system read-only, or writable if called with false. */
export function setReadOnly(directory: string, isReadOnly: boolean): void {
  execFileSync('mount', ['-o', `remount,${isReadOnly ? 'ro' : 'rw'}`, directory]);
}

/** Uses all free space except `bytes`. @returns a function that releases it. */
export function fillUp(directory: string, bytes: number): () => void {
  const ballast = openSync(join(directory, 'ballast'), 'w');
  const block = Buffer.alloc(4096, 1);
  const { bavail, bsize } = statfsSync(directory);
  try {
    for (let left = bavail * bsize - bytes; left > 0; left -= block.length) writeSync(ballast, block);
  } catch (error) {
    // Another writer may have used the space first.
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
  return () => {
    ftruncateSync(ballast, 0);
    closeSync(ballast);
  };
}
