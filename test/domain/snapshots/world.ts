// A domain with snapshots, and the results of its jobs.

import { expect } from 'vitest';
import type { JobRecord } from '../../../src/domain/ports/store.ts';
import { MemoryBlocks, type Step } from '../../helpers/memory-blocks.ts';
import { type FakeWorld, fakeDomain } from '../fakes/fake-domain.ts';

export const NODES = ['disk0', 'disk1'] as const;
export const BOTH = { vmState: 'disk0', devices: [...NODES] };

/** Two disks that can be written. */
export function snapshotWorld(change: Parameters<typeof fakeDomain>[0] = {}): FakeWorld {
  return fakeDomain({ blocks: new MemoryBlocks(NODES.map((name) => ({ name }))), ...change });
}

/** Waits for the end of the job. */
export async function endOf({ domain }: FakeWorld, { id }: JobRecord): Promise<JobRecord> {
  await expect.poll(() => domain.jobs.get(id).outcome, { interval: 1 }).not.toBeNull();
  return domain.jobs.get(id);
}

/** Resolves when a task has reached this step. */
export async function reached({ blocks }: FakeWorld, step: Step, tag: string): Promise<void> {
  await expect.poll(() => blocks.log, { interval: 1 }).toContain(`${step} ${tag}`);
}

/** Adds a complete snapshot to both disks. */
export function putBoth({ blocks }: FakeWorld, tag: string): void {
  blocks.put('disk0', { tag, vmStateBytes: 1 });
  blocks.put('disk1', { tag });
}

/** All events except those of jobs. */
export function guestEvents(world: FakeWorld): readonly string[] {
  return world.events().filter((name) => !name.startsWith('JOB'));
}

/** Expects a running guest without holds, and no reported fault. */
export function expectRuns({ domain, machine, faults }: FakeWorld): void {
  expect(domain.machine.status()).toEqual({ running: true, status: 'running' });
  expect([...machine.held]).toEqual([]);
  expect(faults).toEqual([]);
}
