import { describe, expect, it, onTestFinished } from 'vitest';
import { DomainError } from '../../../src/domain/errors.ts';
import type { JobRecord, Store } from '../../../src/domain/ports/store.ts';
import { MemoryBlocks } from '../../helpers/memory-blocks.ts';
import { openMemoryStore } from '../../helpers/memory-store.ts';
import { fakeDomain } from '../fakes/fake-domain.ts';
import { NODES } from './world.ts';

const FAULT = { code: 'image_io_error', message: 'The image cannot be read.' } as const;

/** The default date of the snapshots of this test. */
const DATE_MS = 1_700_000_000_000;
const PARTS = NODES.map((node) => ({ node, path: `/data/${node}.qcow2`, dateMs: DATE_MS }));

/** The store of a process that was killed during a job. */
function leftBehind(job: Pick<JobRecord, 'type' | 'phase'>, parts: readonly unknown[] = PARTS): Store {
  const store = openMemoryStore();
  onTestFinished(() => store.close());
  const row = { id: 'j', type: job.type, resources: [], details: { tag: 'a', devices: [...NODES] } };
  const record = store.jobs.insert({ ...row, createdAt: 1 });
  store.jobs.save({ ...record, status: 'running', phase: job.phase, recovery: { parts } });
  return store;
}

function blocksWith(...nodes: readonly string[]): MemoryBlocks {
  const blocks = new MemoryBlocks(NODES.map((name) => ({ name })));
  for (const node of nodes) blocks.put(node, { tag: 'a' });
  blocks.put('disk0', { tag: 'other' });
  return blocks;
}

/** Starts again on this store. @returns the executed steps, and the job. */
async function startAgain(store: Store, blocks: MemoryBlocks) {
  const { domain } = fakeDomain({ store, blocks });
  await domain.recovered();
  const { outcome, errorCode, phase } = store.jobs.get('j')!;
  return { log: blocks.log, tags: NODES.map((node) => blocks.tags(node)), outcome, errorCode, phase };
}

const CLOSED = { outcome: 'failed', errorCode: 'service_stopped', phase: null };

describe('after a killed process', () => {
  it.each([
    ['had written on both nodes', NODES],
    ['had written on one node', ['disk1']],
    ['had written nothing', []],
  ] as const)('a save that %s is removed', async (_, nodes) => {
    const store = leftBehind({ type: 'snapshot-save', phase: 'write' });
    const found = await startAgain(store, blocksWith(...nodes));
    expect(found).toMatchObject({ ...CLOSED, tags: [['other'], []] });
    expect(found.log).toEqual(nodes.length === 0 ? [] : ['delete a']);
  });

  it('a save that had only waited does not affect a snapshot of its tag', async () => {
    const store = leftBehind({ type: 'snapshot-save', phase: null });
    expect(await startAgain(store, blocksWith(...NODES))).toMatchObject({ ...CLOSED, log: [] });
  });

  it('a deletion that had deleted a part is completed', async () => {
    const store = leftBehind({ type: 'snapshot-delete', phase: 'delete' });
    expect(await startAgain(store, blocksWith('disk1'))).toMatchObject({ ...CLOSED, tags: [['other'], []] });
  });

  it('a deletion that had deleted nothing is dropped', async () => {
    const store = leftBehind({ type: 'snapshot-delete', phase: 'delete' });
    expect(await startAgain(store, blocksWith(...NODES))).toMatchObject({ ...CLOSED, log: [] });
  });

  it('disks of an interrupted switch are all switched', async () => {
    const store = leftBehind({ type: 'snapshot-load', phase: 'apply' });
    const blocks = blocksWith(...NODES);
    expect(await startAgain(store, blocks)).toMatchObject({ ...CLOSED, log: ['apply-disks a'] });
    expect([...blocks.disks.values()]).toEqual(['a', 'a']);
  });

  it('a load that had switched nothing, and a verify, need no recovery', async () => {
    for (const type of ['snapshot-load', 'snapshot-verify']) {
      const store = leftBehind({ type, phase: null });
      expect(await startAgain(store, blocksWith(...NODES))).toMatchObject({ ...CLOSED, log: [] });
    }
  });

  it('missing and read-only images are left to a later start', async () => {
    const store = leftBehind({ type: 'snapshot-save', phase: 'write' });
    const blocks = new MemoryBlocks([{ name: 'disk0', isReadOnly: true }]);
    blocks.put('disk0', { tag: 'a' });
    const { domain } = fakeDomain({ store, blocks });
    await domain.recovered();
    expect([blocks.log, store.jobs.get('j')?.phase]).toEqual([[], 'write']);
    expect(await startAgain(store, blocksWith(...NODES))).toMatchObject({ ...CLOSED, tags: [['other'], []] });
  });

  it('disks that were missing at the recovery of a switch are switched when they are present, and no others', async () => {
    const store = leftBehind({ type: 'snapshot-load', phase: 'apply' });
    const one = new MemoryBlocks([{ name: 'disk0' }]);
    one.put('disk0', { tag: 'a' });
    await fakeDomain({ store, blocks: one }).domain.recovered();
    expect([one.log, one.disks.get('disk0'), store.jobs.get('j')?.phase]).toEqual([['apply-disks a'], 'a', 'apply']);
    const both = blocksWith(...NODES);
    expect(await startAgain(store, both)).toMatchObject(CLOSED);
    expect([...both.disks.values()]).toEqual(['guest', 'a']);
  });

  it.each(['snapshot-save write', 'snapshot-delete delete', 'snapshot-load apply'])(
    'other images are unchanged after %s',
    async (what) => {
      const [type = '', phase = ''] = what.split(' ');
      const store = leftBehind(
        { type, phase },
        PARTS.map((part) => ({ ...part, path: '/another/image.qcow2' })),
      );
      expect((await startAgain(store, blocksWith('disk1'))).log).toEqual([]);
    },
  );

  it.each(['snapshot-save write', 'snapshot-load apply'])(
    'another snapshot with the tag is unchanged after %s',
    async (what) => {
      const [type = '', phase = ''] = what.split(' ');
      const store = leftBehind(
        { type, phase },
        PARTS.map((part) => ({ ...part, dateMs: DATE_MS + 1 })),
      );
      expect(await startAgain(store, blocksWith(...NODES))).toMatchObject({ ...CLOSED, log: [] });
    },
  );

  it('a node that never had the snapshot does not count as deleted', async () => {
    const store = leftBehind({ type: 'snapshot-delete', phase: 'delete' }, [PARTS[1]]);
    expect(await startAgain(store, blocksWith('disk1'))).toMatchObject({ ...CLOSED, log: [] });
  });

  it('disks that a later load switched are unchanged', async () => {
    const store = leftBehind({ type: 'snapshot-load', phase: 'apply' });
    store.jobs.save({ ...store.jobs.get('j')!, status: 'concluded', outcome: 'failed', endedAt: 1 });
    const later = store.jobs.insert({
      id: 'k',
      type: 'snapshot-load',
      resources: NODES.map((node) => `node:${node}`),
      details: {},
      createdAt: 2,
    });
    store.jobs.save({ ...later, status: 'concluded', outcome: 'completed', endedAt: 2 });
    const found = await startAgain(store, blocksWith(...NODES));
    expect(found).toMatchObject({ log: [], phase: null });
  });

  it('a snapshot is complete and its job completed if only the end of the save was not stored', async () => {
    const store = leftBehind({ type: 'snapshot-save', phase: 'done' });
    const found = await startAgain(store, blocksWith(...NODES));
    expect(found).toMatchObject({ outcome: 'completed', errorCode: null, phase: null, log: [] });
  });

  it('disks that cannot be switched stop the start with the reason and the place', async () => {
    const store = leftBehind({ type: 'snapshot-load', phase: 'apply' });
    const blocks = blocksWith(...NODES);
    blocks.failures.set('apply-disks', FAULT);
    const error = await fakeDomain({ store, blocks })
      .domain.recovered()
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DomainError);
    expect(error).toMatchObject({
      code: FAULT.code,
      message: expect.stringMatching(/"a".*'disk0', 'disk1'.*cannot be read/),
    });
    expect(store.jobs.get('j')).toMatchObject({ outcome: 'failed', phase: 'apply' });
    blocks.failures.clear();
    expect(await startAgain(store, blocks)).toMatchObject(CLOSED);
  });

  it('any other failed recovery is reported, and the next start tries again', async () => {
    const store = leftBehind({ type: 'snapshot-save', phase: 'write' });
    const blocks = blocksWith(...NODES);
    blocks.failures.set('delete', FAULT);
    const { domain, faults } = fakeDomain({ store, blocks });
    await domain.recovered();
    expect(faults).toMatchObject([{ code: FAULT.code, message: expect.stringContaining("'disk0', 'disk1'") }]);
    expect(store.jobs.get('j')).toMatchObject({ outcome: 'failed', phase: 'write' });
    blocks.failures.clear();
    expect(await startAgain(store, blocks)).toMatchObject({ ...CLOSED, tags: [['other'], []] });
    blocks.log.splice(0);
    expect(await startAgain(store, blocks)).toMatchObject({ ...CLOSED, log: [] });
  });

  it('unreadable recovery data is dropped', async () => {
    const store = leftBehind({ type: 'snapshot-save', phase: 'write' }, [7, { node: 'disk0' }]);
    expect(await startAgain(store, blocksWith(...NODES))).toMatchObject({ ...CLOSED, log: [] });
  });
});
