import { closeSync, readFileSync } from 'node:fs';
import type { DescriptorAccess, DescriptorCalls } from '../../domain/ports/process.ts';
import { koffi, libcFunction } from '../../native/c-library.ts';

/** Of Linux's <fcntl.h>; the same on x86-64 and arm64. */
const F_DUPFD_CLOEXEC = 1030;
const O_ACCMODE = 0o3;
const O_APPEND = 0o2000;
const ACCESS: readonly DescriptorAccess[] = ['read', 'write', 'both', 'unknown'];
/** Standard input, output and error are not to be taken by a duplicate. */
const FIRST = 3;

export const descriptorCalls: DescriptorCalls = { close, duplicate, accessOf };

function close(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch {
    // It is closed all the same: an error of close(2) tells of a write that was not kept.
  }
}

function duplicate(descriptor: number): number {
  const fcntl = libcFunction('int fcntl(int fd, int command, ...)');
  const made = fcntl(descriptor, F_DUPFD_CLOEXEC, 'int', FIRST) as number;
  if (made < 0) throw new Error(`descriptor ${descriptor} cannot be duplicated (errno ${koffi().errno()})`);
  return made;
}

/** As the kernel shows it in /proc. */
export function accessOf(descriptor: number): DescriptorAccess {
  const flags = flagsOf(descriptor);
  if (flags === null) return 'unknown';
  const access = ACCESS[flags & O_ACCMODE] ?? 'unknown';
  return access === 'write' && (flags & O_APPEND) !== 0 ? 'append' : access;
}

function flagsOf(descriptor: number): number | null {
  try {
    const [, flags] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')) ?? [];
    return flags === undefined ? null : Number.parseInt(flags, 8);
  } catch {
    return null;
  }
}
