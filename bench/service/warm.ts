import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Beside guest RAM: socket buffers, staging, page tables. */
const EXTRA_BYTES = 256 * 2 ** 20;

/**
 * Makes sure that the next `bytes` of fresh memory are cheap. A virtual machine's free memory may be with its host
 * (free page reporting), and the first touch of each page is then ten times as slow; whoever ran first would pay
 * for both. So a child touches as much memory and ends, before every timed run of either side: what it frees is what
 * the run gets.
 */
export async function warmMemory(bytes: number): Promise<void> {
  const child = fileURLToPath(new URL('./warm-child.ts', import.meta.url));
  await promisify(execFile)(process.execPath, [child, String(Math.round(bytes * 1.125) + EXTRA_BYTES)]);
}

/** Bytes that could be taken without swapping. */
export function availableBytes(): number {
  const match = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'));
  return Number(match?.[1] ?? 0) * 1024;
}
