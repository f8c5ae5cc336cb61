import { constants } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';

const WRITE_BYTES = 2 ** 20;
const WASM_PAGE_BYTES = 65536;

/**
 * Measures the disk itself: writes `bytes` with direct I/O, 1 MiB per request and three requests at a time, and synchronises
 * the file. No program can save a machine on this disk faster. @returns milliseconds
 */
export async function rawDiskMs(directory: string, bytes: number): Promise<number> {
  const path = join(directory, 'raw-disk');
  const pages = WRITE_BYTES / WASM_PAGE_BYTES;
  // A WebAssembly memory begins on a page boundary, which direct I/O requires.
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const block = new Uint8Array(buffer);
  for (let at = 0; at < block.length; at += WASM_PAGE_BYTES)
    crypto.getRandomValues(block.subarray(at, at + WASM_PAGE_BYTES));
  const { O_RDWR, O_CREAT, O_EXCL, O_DIRECT } = constants;
  const file = await open(path, O_RDWR | O_CREAT | O_EXCL | O_DIRECT, 0o600);
  try {
    const fromMs = performance.now();
    let next = 0;
    const writeOn = async (): Promise<void> => {
      while (next < bytes) {
        const position = next;
        next += WRITE_BYTES;
        await file.write(block, 0, WRITE_BYTES, position);
      }
    };
    await Promise.all([writeOn(), writeOn(), writeOn()]);
    await file.datasync();
    return performance.now() - fromMs;
  } finally {
    await file.close();
    await rm(path);
  }
}
