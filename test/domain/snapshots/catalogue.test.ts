import { describe, expect, it } from 'vitest';
import { Catalogue, type Snapshot } from '../../../src/domain/snapshots/catalogue.ts';
import { MemoryBlocks } from '../../helpers/memory-blocks.ts';
import { refusalOf } from '../fakes/refusal.ts';

const TWO = [{ name: 'disk0' }, { name: 'disk1' }, { name: 'rom', isReadOnly: true }];

function tagsOf(items: readonly Snapshot[]): readonly string[] {
  return items.map(({ tag }) => tag);
}

describe('the snapshots of all nodes', () => {
  it('are combined by tag, with the properties of the part with the VM state', () => {
    const blocks = new MemoryBlocks(TWO);
    const catalogue = new Catalogue(blocks);
    blocks.put('disk0', { tag: 'a', id: '4', dateMs: 2 });
    blocks.put('disk1', { tag: 'a', id: '9', dateMs: 2, vmStateBytes: 7, clockNs: 3n, icount: 5n, hasDigests: false });
    expect(catalogue.get('a')).toMatchObject({
      tag: 'a',
      id: '9',
      dateMs: 2,
      vmStateBytes: 7,
      clockNs: 3n,
      icount: 5n,
      vmState: 'disk1',
      isConsistent: true,
      hasDigests: false,
      parts: [
        { node: 'disk0', id: '4' },
        { node: 'disk1', id: '9' },
      ],
    });
  });

  it('are not consistent if a writable node has no part, and have no machine without VM state', () => {
    const blocks = new MemoryBlocks(TWO);
    blocks.put('disk0', { tag: 'a', id: '1' });
    blocks.put('rom', { tag: 'b', id: '1' });
    const catalogue = new Catalogue(blocks);
    expect(catalogue.get('a')).toMatchObject({ isConsistent: false, vmState: null, vmStateBytes: 0, hasDigests: true });
    expect(catalogue.get('b')).toMatchObject({ isConsistent: false, parts: [{ node: 'rom' }] });
  });

  it('are not consistent if parts that are loaded together have different dates', () => {
    const blocks = new MemoryBlocks(TWO);
    blocks.put('disk0', { tag: 'a', dateMs: 2 });
    blocks.put('disk1', { tag: 'a', dateMs: 1, vmStateBytes: 7 });
    blocks.put('disk0', { tag: 'b', dateMs: 3 });
    blocks.put('disk1', { tag: 'b', dateMs: 3 });
    blocks.put('rom', { tag: 'b', dateMs: 1 });
    const catalogue = new Catalogue(blocks);
    expect(catalogue.get('a')).toMatchObject({ isOnAllNodes: true, isConsistent: false });
    expect(catalogue.get('b')).toMatchObject({ isOnAllNodes: true, isConsistent: true });
  });

  it('are found by their exact tag, and never by an id', () => {
    const blocks = new MemoryBlocks();
    blocks.put('disk0', { tag: 'é', id: '1' });
    blocks.put('disk0', { tag: 'e\u0301', id: '2' });
    blocks.put('disk0', { tag: 'A', id: '3' });
    const catalogue = new Catalogue(blocks);
    expect([catalogue.get('é').id, catalogue.get('e\u0301').id]).toEqual(['1', '2']);
    for (const tag of ['1', 'a', '']) {
      expect(refusalOf(() => catalogue.get(tag))).toMatchObject({ code: 'snapshot_not_found', kind: 'missing' });
    }
  });

  it('with the same tag in one image count as one, the first', () => {
    const blocks = new MemoryBlocks();
    blocks.put('disk0', { tag: 'twin', id: '1', vmStateBytes: 5 });
    blocks.put('disk0', { tag: 'twin', id: '2' });
    expect(new Catalogue(blocks).get('twin')).toMatchObject({ id: '1', parts: [{ id: '1' }] });
  });

  it('reflect each change of the images', () => {
    const blocks = new MemoryBlocks();
    const catalogue = new Catalogue(blocks);
    expect(catalogue.all()).toEqual([]);
    blocks.put('disk0', { tag: 'a' });
    expect(tagsOf(catalogue.all())).toEqual(['a']);
  });
});

describe('a list of snapshots', () => {
  it('is sorted newest first, in pages without repetitions or omissions', () => {
    const blocks = new MemoryBlocks();
    for (const [tag, dateMs] of Object.entries({ a: 1, b: 3, c: 3, d: 3, e: 2 })) blocks.put('disk0', { tag, dateMs });
    const catalogue = new Catalogue(blocks);
    const first = catalogue.list({ limit: 2, cursor: null });
    blocks.put('disk0', { tag: 'newer', dateMs: 9 });
    const second = catalogue.list({ limit: 2, cursor: first.next });
    const last = catalogue.list({ limit: 2, cursor: second.next });
    const seen = tagsOf([...first.items, ...second.items, ...last.items]);
    expect(seen.slice(0, 3).sort()).toEqual(['b', 'c', 'd']);
    expect(seen.slice(3)).toEqual(['e', 'a']);
    expect(last.next).toBeNull();
  });

  it('continues after a snapshot that was removed meanwhile', async () => {
    const blocks = new MemoryBlocks();
    for (const [tag, dateMs] of Object.entries({ a: 1, b: 2, c: 3 })) blocks.put('disk0', { tag, dateMs });
    const catalogue = new Catalogue(blocks);
    const first = catalogue.list({ limit: 2, cursor: null });
    await blocks.delete({ tag: 'b', devices: ['disk0'] }).ended;
    expect(tagsOf(catalogue.list({ limit: 2, cursor: first.next }).items)).toEqual(['a']);
  });

  it('of one node has only the snapshots with a part in that node', () => {
    const blocks = new MemoryBlocks(TWO);
    blocks.put('disk0', { tag: 'a', dateMs: 1 });
    blocks.put('disk1', { tag: 'b', dateMs: 2 });
    const catalogue = new Catalogue(blocks);
    expect(tagsOf(catalogue.list({ limit: 9, cursor: null, node: 'disk1' }).items)).toEqual(['b']);
    expect(refusalOf(() => catalogue.list({ limit: 9, cursor: null, node: 'disk7' }))).toMatchObject({
      code: 'node_not_found',
      message: "There is no block device node 'disk7'; there are 'disk0', 'disk1', 'rom'.",
      violations: [{ pointer: '/node' }],
    });
  });

  it('accepts only its own cursors', () => {
    const blocks = new MemoryBlocks();
    for (const tag of ['a', 'b']) blocks.put('disk0', { tag });
    const catalogue = new Catalogue(blocks);
    const { next } = catalogue.list({ limit: 1, cursor: null });
    for (const query of [
      { limit: 1, cursor: 'nonsense' },
      { limit: 1, cursor: `${next}A` },
      { limit: 1, cursor: next, node: 'disk0' },
    ]) {
      expect(refusalOf(() => catalogue.list(query))).toMatchObject({ code: 'invalid_cursor' });
    }
  });
});
