/* Run as `node warm-child.ts BYTES`: touches so much fresh memory and ends, see warm.ts. */

import { adviseHugePages } from '../../src/engine/memory/memory-advice.ts';

const WASM_PAGE_BYTES = 65536;
const CHUNK_PAGES = (256 * 2 ** 20) / WASM_PAGE_BYTES;
const PAGE_BYTES = 4096;

// In huge pages, as both sides' RAM: what was freed in small ones was seen not to be found again as large ones.
const held: WebAssembly.Memory[] = [];
for (let left = Math.ceil(Number(process.argv[2]) / WASM_PAGE_BYTES); left > 0; left -= CHUNK_PAGES) {
  const pages = Math.min(left, CHUNK_PAGES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  adviseHugePages(memory, 0);
  const bytes = new Uint8Array(memory.buffer);
  for (let at = 0; at < bytes.length; at += PAGE_BYTES) bytes[at] = 1;
  held.push(memory);
}
