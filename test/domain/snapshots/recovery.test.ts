import { describe, expect, it, onTestFinished } from 'vitest';
import type { JobRecord, Store } from '../../../src/domain/store-ports.ts';
import { MemoryBlocks } from '../../helpers/memory-blocks.ts';
import { openMemoryStore } from '../../helpers/memory-store.ts';
import { fakeDomain } from '../fakes/fake-domain.ts';
import { NODES } from './world.ts';

const FAULT = { code: 'image_io_error', message: 'The image cannot be read.' } as const;

/** What a process left behind that died in the middle of a job. */
function leftBehind(job: Pick<JobRecord, 'type' | 'phase'>, details: JobRecord['details'] = {}): Store {
  const store = openMemoryStore();
  onTestFinished(() => store.close());
  const row = { id: 'j', type: job.type, resources: [], details: { tag: 'a', devices: [...NODES], ...details } };
  const record = store.jobs.insert({ ...row, createdAt: 1 });
  store.jobs.save({ ...record, status: 'running', phase: job.phase });
  return store;
}

function blocksWith(...nodes: readonly string[]): MemoryBlocks {
  const blocks = new MemoryBlocks(NODES.map((name) => ({ name })));
  for (const node of nodes) blocks.put(node, { tag: 'a' });
  blocks.put('disk0', { tag: 'other' });
  return blocks;
}

/** Starts again on what was left. @returns what was done, and the job. */
async function startAgain(store: Store, blocks: MemoryBlocks) {
  const { domain } = fakeDomain({ store, blocks });
  await domain.recovered();
  const { outcome, errorCode, phase } = store.jobs.get('j')!;
  return { log: blocks.log, tags: NODES.map((node) => blocks.tags(node)), outcome, errorCode, phase };
}

const CLOSED = { outcome: 'failed', errorCode: 'service_stopped', phase: null };

describe('after a process that died', () => {
  it.each([
    ['had written on both nodes', NODES],
    ['had written on one node', ['disk1']],
    ['had written nothing yet', []],
  ] as const)('a save that %s is removed', async (_, nodes) => {
    const store = leftBehind({ type: 'snapshot-save', phase: 'write' });
    const found = await startAgain(store, blocksWith(...nodes));
    expect(found).toMatchObject({ ...CLOSED, tags: [['other'], []] });
    expect(found.log).toEqual(nodes.length === 0 ? [] : ['delete a']);
  });

  it('a save that only waited leaves a snapshot of its tag alone', async () => {
    const store = leftBehind({ type: 'snapshot-save', phase: null });
    expect(await startAgain(store, blocksWith(...NODES))).toMatchObject({ ...CLOSED, log: [] });
  });

  it('a deletion that had begun is finished', async () => {
    const store = leftBehind({ type: 'snapshot-delete', phase: 'delete' });
    expect(await startAgain(store, blocksWith('disk1'))).toMatchObject({ ...CLOSED, tags: [['other'], []] });
  });

  it('a deletion that had deleted nothing did not happen', async () => {
    const store = leftBehind({ type: 'snapshot-delete', phase: 'delete' });
    expect(await startAgain(store, blocksWith(...NODES))).toMatchObject({ ...CLOSED, log: [] });
  });

  it('disks that were being turned are turned, all of them', async () => {
    const store = leftBehind({ type: 'snapshot-load', phase: 'apply' });
    const blocks = blocksWith(...NODES);
    expect(await startAgain(store, blocks)).toMatchObject({ ...CLOSED, log: ['apply-disks a'] });
    expect([...blocks.disks.values()]).toEqual(['a', 'a']);
  });

  it('a load that had turned nothing, and a verify, leave nothing to do', async () => {
    for (const type of ['snapshot-load', 'snapshot-verify']) {
      const store = leftBehind({ type, phase: null });
      expect(await startAgain(store, blocksWith(...NODES))).toMatchObject({ ...CLOSED, log: [] });
    }
  });

  it('nodes that are not there any more, or only to be read, are passed over', async () => {
    const store = leftBehind({ type: 'snapshot-save', phase: 'write' });
    const blocks = new MemoryBlocks([{ name: 'disk0', isReadOnly: true }]);
    blocks.put('disk0', { tag: 'a' });
    const { domain } = fakeDomain({ store, blocks });
    await domain.recovered();
    expect([blocks.log, store.jobs.get('j')?.phase]).toEqual([[], null]);
  });

  it('what cannot be put right stops the start, and the next start tries again', async () => {
    const store = leftBehind({ type: 'snapshot-save', phase: 'write' });
    const blocks = blocksWith(...NODES);
    blocks.failures.set('delete', FAULT);
    await expect(fakeDomain({ store, blocks }).domain.recovered()).rejects.toMatchObject(FAULT);
    expect(store.jobs.get('j')).toMatchObject({ outcome: 'failed', phase: 'write' });
    blocks.failures.clear();
    expect(await startAgain(store, blocks)).toMatchObject({ ...CLOSED, tags: [['other'], []] });
    blocks.log.splice(0);
    expect(await startAgain(store, blocks)).toMatchObject({ ...CLOSED, log: [] });
  });

  it('details that nobody can read leave nothing to do', async () => {
    const store = leftBehind({ type: 'snapshot-save', phase: 'write' }, { tag: 7, devices: 'disk0' });
    expect(await startAgain(store, blocksWith(...NODES))).toMatchObject({ ...CLOSED, log: [] });
  });
});
