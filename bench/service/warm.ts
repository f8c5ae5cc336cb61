import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Memory in addition to guest RAM: socket buffers, staging areas, page tables. */
const EXTRA_BYTES = 256 * 2 ** 20;

/**
 * Makes the next `bytes` of new memory cheap to use. The free memory of a virtual machine may be with its host (free page
 * reporting), and then the first access to each page is ten times slower; the first run would pay for both sides. Therefore a
 * child process touches that number of bytes and ends, before every measured run of either side. The run then gets the memory
 * that the child freed.
 */
export async function warmMemory(bytes: number): Promise<void> {
  const child = fileURLToPath(new URL('./warm-child.ts', import.meta.url));
  await promisify(execFile)(process.execPath, [child, String(Math.round(bytes * 1.125) + EXTRA_BYTES)]);
}

/** Bytes that can be allocated without swapping. */
export function availableBytes(): number {
  const match = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  return Number(match?.[1] ?? 0) * 1024;
}
