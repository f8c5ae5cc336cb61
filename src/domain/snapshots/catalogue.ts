import { fnv32, type Page, readTextCursor, writeTextCursor } from '../cursor.ts';
import { DomainError } from '../errors.ts';
import type { BlockNode, BlockNodes, NodeSnapshot, SnapshotAbout } from '../ports/block-nodes.ts';
import { list, shown } from './snapshot-tag.ts';

/** One node's part of a snapshot. */
export type SnapshotPart = NodeSnapshot & { readonly node: string };

/** A snapshot of the machine: the parts of all nodes with one tag. */
export type Snapshot = {
  readonly tag: string;
  /** Id of the part with the VM state, or of the first part. */
  readonly id: string;
  readonly dateMs: number;
  /** Total bytes of VM state; 0: disks only. */
  readonly vmStateBytes: number;
  readonly clockNs: bigint;
  readonly icount: bigint | null;
  /** The node that has the VM state; null if none has. */
  readonly vmState: string | null;
  /** In the order of the service's nodes. */
  readonly parts: readonly SnapshotPart[];
  /** True if every writable node has a part. */
  readonly isOnAllNodes: boolean;
  /** True if in addition all those parts have the same date. */
  readonly isConsistent: boolean;
  /** True if digests were stored with every part. */
  readonly hasDigests: boolean;
  /** Facts given when it was taken; null for a snapshot of another program. */
  readonly about: SnapshotAbout | null;
};

export type SnapshotQuery = {
  readonly limit: number;
  readonly cursor: string | null;
  /** Only snapshots with a part on this node. */
  readonly node?: string;
};

type Listed = { readonly snapshot: Snapshot; readonly tie: string };
type Index = { readonly byTag: ReadonlyMap<string, Snapshot>; readonly newestFirst: readonly Listed[] };

/**
 * All snapshots of all nodes, by tag. If an image has several parts with the same tag (other programs can create them),
 * only the first one counts, and all commands use it. Computed again only after the engine's list has changed.
 */
export class Catalogue {
  readonly #blocks: Pick<BlockNodes, 'nodes'>;
  #seen: readonly BlockNode[] | null = null;
  #index: Index = { byTag: new Map(), newestFirst: [] };

  constructor(blocks: Pick<BlockNodes, 'nodes'>) {
    this.#blocks = blocks;
  }

  nodes(): readonly BlockNode[] {
    return this.#blocks.nodes();
  }

  find(tag: string): Snapshot | null {
    return this.#current().byTag.get(tag) ?? null;
  }

  /** @throws DomainError if no node holds the tag. */
  get(tag: string): Snapshot {
    const found = this.find(tag);
    if (found === null) throw new DomainError('snapshot_not_found', `No node holds a snapshot ${shown(tag)}.`);
    return found;
  }

  all(): readonly Snapshot[] {
    return this.#current().newestFirst.map(({ snapshot }) => snapshot);
  }

  /** Newest first. A page continues where the last one ended, even if snapshots were added or removed meanwhile. */
  list({ limit, cursor, node }: SnapshotQuery): Page<Snapshot> {
    if (node !== undefined && !this.nodes().some(({ name }) => name === node)) {
      throw nodeNotFound(this.nodes(), node, '/node');
    }
    const listName = `snapshots/${node ?? '*'}`;
    const all = this.#current().newestFirst;
    const start = cursor === null ? 0 : firstBehind(all, readTextCursor(listName, cursor));
    const found: Listed[] = [];
    for (let at = start; at < all.length && found.length <= limit; at += 1) {
      const listed = all[at]!;
      if (node === undefined || listed.snapshot.parts.some((part) => part.node === node)) found.push(listed);
    }
    const items = found.slice(0, limit);
    const last = items.at(-1);
    const next = found.length > limit && last !== undefined ? writeTextCursor(listName, positionOf(last)) : null;
    return { items: items.map(({ snapshot }) => snapshot), next };
  }

  #current(): Index {
    const nodes = this.#blocks.nodes();
    if (nodes === this.#seen) return this.#index;
    this.#index = indexOf(nodes);
    this.#seen = nodes;
    return this.#index;
  }
}

function indexOf(nodes: readonly BlockNode[]): Index {
  const parts = new Map<string, SnapshotPart[]>();
  for (const { name, snapshots } of nodes) {
    for (const snapshot of snapshots) {
      const found = parts.get(snapshot.tag);
      if (found === undefined) parts.set(snapshot.tag, [{ ...snapshot, node: name }]);
      else if (found.at(-1)!.node !== name) found.push({ ...snapshot, node: name });
    }
  }
  const writable = nodes.filter(({ isReadOnly }) => !isReadOnly).map(({ name }) => name);
  const byTag = new Map([...parts].map(([tag, found]) => [tag, snapshotOf(tag, found, writable)]));
  const newestFirst = [...byTag.values()]
    .map((snapshot) => ({ snapshot, tie: fnv32(snapshot.tag) }))
    .sort((left, right) => right.snapshot.dateMs - left.snapshot.dateMs || compare(left.tie, right.tie));
  return { byTag, newestFirst };
}

function snapshotOf(tag: string, parts: readonly SnapshotPart[], writable: readonly string[]): Snapshot {
  const withState = parts.find(({ vmStateBytes }) => vmStateBytes > 0);
  const { id, dateMs, clockNs, icount, about = null } = withState ?? parts[0]!;
  const loadable = parts.filter(({ node }) => writable.includes(node));
  const isOnAllNodes = loadable.length === writable.length;
  return {
    tag,
    id,
    dateMs,
    vmStateBytes: withState?.vmStateBytes ?? 0,
    clockNs,
    icount,
    vmState: withState?.node ?? null,
    parts,
    isOnAllNodes,
    isConsistent: isOnAllNodes && loadable.every((part) => part.dateMs === loadable[0]?.dateMs),
    hasDigests: parts.every(({ hasDigests }) => hasDigests),
    about,
  };
}

/** Snapshots with the same date are distinguished by a hash of their tag. */
function positionOf({ snapshot, tie }: Listed): string {
  return `${snapshot.dateMs}.${tie}`;
}

/** Index of the first entry after a position in the list's order. */
function firstBehind(all: readonly Listed[], position: string): number {
  const at = position.lastIndexOf('.');
  const dateMs = Number(position.slice(0, at));
  const tie = position.slice(at + 1);
  const found = all.findIndex(
    (listed) => listed.snapshot.dateMs < dateMs || (listed.snapshot.dateMs === dateMs && listed.tie > tie),
  );
  return found === -1 ? all.length : found;
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** The refusal of a node that does not exist; it lists the nodes that do. */
export function nodeNotFound(nodes: readonly BlockNode[], name: string, pointer: string): DomainError {
  const known = nodes.length === 0 ? 'there is none' : `there are ${list(nodes.map((node) => node.name))}`;
  const reason = `there is no block device node '${name}'; ${known}`;
  const detail = `${reason.charAt(0).toUpperCase()}${reason.slice(1)}.`;
  return new DomainError('node_not_found', detail, { violations: [{ pointer, reason }] });
}
