import { compileKernels } from '../src/engine/kernels/kernels.ts';
import { createGuestMemory } from '../src/engine/memory/guest-memory.ts';
import { DirtyMarker, DirtyTrace } from '../src/machine/synthetic/dirty-trace.ts';
import { GuestMap } from '../src/machine/synthetic/guest-map.ts';
import { DirtyLogGate, GuestPages, segmentKernels } from '../src/machine/synthetic/guest-pages.ts';

/*
 * CPU time of one page write of the synthetic guest, with the check before it, through the page gate. To compare two
 * versions, run this program alternately in two working directories: `npm run bench:guest-write`.
 */
const MIB = 2 ** 20;
const RAM_BYTES = 64 * MIB;
const WARM_UP_WRITES = 100_000;
const WRITES = 1_000_000;

/** Nanoseconds of CPU time, user and system, for one write. */
function measure(): number {
  const pages = newPages();
  const { map, guest } = pages;
  const written = new Uint32Array(map.dataPages);
  const write = (count: number): void => {
    for (let index = 0; index < count; index += 1) {
      const own = index % map.dataPages;
      const page = map.firstDataPage + own;
      guest.check(page, count);
      written[own] = (written[own] ?? 0) + 1;
      guest.write(page, written[own] ?? 0);
    }
  };
  write(WARM_UP_WRITES);
  const before = process.cpuUsage();
  write(WRITES);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / WRITES;
}

function newPages() {
  const memory = createGuestMemory([{ name: 'ram', bytes: RAM_BYTES }]);
  const map = new GuestMap(memory, 1);
  const kernels = segmentKernels(memory);
  const marker = new DirtyMarker({ trace: new DirtyTrace(1, map.pages), vcpu: 0, ringEntries: null });
  const gate = new DirtyLogGate({ kernels, map, marker });
  return { map, guest: new GuestPages({ memory, kernels, map, identity: { seed: 7, fill: 'zero' }, gate }) };
}

compileKernels();
process.stdout.write(`${measure().toFixed(1)} ns of CPU time for a page write\n`);
