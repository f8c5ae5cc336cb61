// The block thread, which dies, hangs forever, or has a disk that accepts no data from some moment on, as the file in
// its environment orders.

import fs, { existsSync, readFileSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { builtProgram } from './built-program.ts';

await import(builtProgram(new URL('../../../src/engine/snapshot/worker/block-thread.ts', import.meta.url)).href);

const order = process.env.VMFERRY_TEST_BLOCK_THREAD_ORDER ?? '';
setInterval(() => {
  if (!existsSync(order)) return;
  const what = readFileSync(order, 'utf8');
  rmSync(order);
  if (what === 'die') throw new Error('told to die');
  if (what === 'exit') process.exit(3);
  if (what === 'fill') for (const kept: unknown[] = []; ; ) kept.push(new Array(10_000).fill(0));
  if (what.startsWith('stall ')) {
    stallFrom(what.replace('stall ', ''));
    return;
  }
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}, 5).unref();

/** The first write that is not accepted. */
const MOMENTS: Readonly<Record<string, (bytes: Buffer, position: number) => boolean>> = {
  now: () => true,
  room: (bytes) => startsWith(bytes, 'UNFINISH'),
  // The first entry has the flag COPIED, and an offset below 4 GiB.
  table: (bytes) => bytes.length >= 8 && bytes.readUInt32BE(0) === 0x8000_0000,
  header: (_, position) => position === POINTERS_OFFSET,
  manifest: (bytes) => startsWith(bytes, 'FERRYDIG'),
};
/** Of the fields of a qcow2 header that change. */
const POINTERS_OFFSET = 24;

/** Writes end up to that moment, and later ones never end; `behind header`: up to the write after that. */
function stallFrom(moment: string): void {
  const { write } = fs;
  const isDue = MOMENTS[moment.replace('behind ', '')] ?? (() => true);
  let isHung = false;
  const mayHang = (fd: number, bytes: Uint8Array, ...rest: [number, number, number, () => void]): void => {
    const [offset, length, position] = rest;
    const part = Buffer.from(bytes.buffer, bytes.byteOffset + offset, length);
    const hangs = isHung || (isDue(part, position) && !moment.startsWith('behind '));
    isHung ||= isDue(part, position);
    if (!hangs) write(fd, bytes, ...rest);
  };
  Object.assign(fs, { write: mayHang });
  syncBuiltinESMExports();
}

function startsWith(bytes: Buffer, text: string): boolean {
  return bytes.subarray(0, text.length).equals(Buffer.from(text));
}
