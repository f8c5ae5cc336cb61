// Long tests of snapshots: a hundred rounds, and constant use of resources.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { spawnService } from '../helpers/guest-service.ts';
import { makeImages, nodeFlags } from '../helpers/snapshots/bed.ts';
import { expectClean } from '../helpers/snapshots/qemu-image.ts';
import { runRounds } from '../helpers/snapshots/rounds.ts';
import { Snapshots } from '../helpers/snapshots/snapshot-client.ts';

const ROUNDS = 100;
const USE_ROUNDS = 50;
/** Rounds after which all permanent resources have been allocated. */
const WARM_ROUNDS = 15;
const GROWTH_BYTES_MAX = 48 * 2 ** 20;
/** The guest gradually writes all of its disk, and the tables of the image grow. */
const DISK_GROWTH_BYTES_MAX = 4 * 2 ** 20;

test(`a busy guest is restored completely ${ROUNDS} times`, async () => {
  const data = temporaryDirectory();
  const images = makeImages(data, 1);
  const flags = ['--ram', '128M', '--workload', 'rate=200M,span=64M,pattern=hot', ...nodeFlags(images)];
  const service = await spawnService(data, flags);
  await service.expectRunning();
  const rates = (await runRounds({ service, images, rounds: ROUNDS })).toSorted((a, b) => a - b);
  console.log(`the guest wrote ${rates[0]} to ${rates.at(-1)} pages in a tick, ${rates[ROUNDS / 2]} in the middle`);
  expect(await service.end('SIGTERM')).toBe(0);
  expectClean(...images);
});

test(`${USE_ROUNDS} rounds of save, load and delete leave memory, descriptors, threads and disk usage constant`, async () => {
  const data = temporaryDirectory();
  const flags = ['--ram', '64M', '--workload', 'rate=50M,span=32M,pattern=hot,fill=random'];
  const service = await spawnService(data, flags);
  const snapshots = new Snapshots(service);
  const uses: Use[] = [];
  for (let round = 0; round < USE_ROUNDS; round += 1) {
    for (const work of ['save', 'verify', 'load', 'delete'] as const) await snapshots.does(work, 'again');
    await service.expectRunning();
    uses.push(useOf(service.process.pid!, join(data, 'disk0.qcow2')));
  }
  const warm = uses.slice(WARM_ROUNDS, WARM_ROUNDS + 10);
  const last = uses.slice(-10);
  const most = (list: readonly Use[], what: keyof Use): number => Math.max(...list.map((use) => use[what]));
  for (const what of ['rss', 'descriptors', 'threads', 'diskBytes'] as const) {
    console.log(`${what}: ${uses[0]![what]} after one round, ${most(warm, what)} warm, ${most(last, what)} at the end`);
  }
  expect(most(last, 'rss') - most(warm, 'rss')).toBeLessThan(GROWTH_BYTES_MAX);
  expect(most(last, 'descriptors')).toBeLessThanOrEqual(most(warm, 'descriptors'));
  expect(most(last, 'threads')).toBeLessThanOrEqual(most(warm, 'threads'));
  expect(most(last, 'diskBytes') - most(warm, 'diskBytes')).toBeLessThan(DISK_GROWTH_BYTES_MAX);
  expect(await service.end('SIGTERM')).toBe(0);
});

type Use = { readonly rss: number; readonly descriptors: number; readonly threads: number; readonly diskBytes: number };

function useOf(pid: number, image: string): Use {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return {
    rss: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
    diskBytes: statSync(image).blocks * 512,
  };
}
