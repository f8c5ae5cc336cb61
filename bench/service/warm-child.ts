/* `node warm-child.ts BYTES` touches that number of bytes of new memory and ends; see warm.ts. */

import { adviseHugePages } from '../../src/engine/memory/memory-advice.ts';

const WASM_PAGE_BYTES = 65536;
const CHUNK_PAGES = (256 * 2 ** 20) / WASM_PAGE_BYTES;
const PAGE_BYTES = 4096;

// The memory has huge pages, like the RAM of both sides. Memory that was freed in small pages was not found again as large ones.
const held: WebAssembly.Memory[] = [];
for (let left = Math.ceil(Number(process.argv[2]) / WASM_PAGE_BYTES); left > 0; left -= CHUNK_PAGES) {
  const pages = Math.min(left, CHUNK_PAGES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  adviseHugePages(memory, 0);
  const bytes = new Uint8Array(memory.buffer);
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) bytes[at] = 1;
  held.push(memory);
}
