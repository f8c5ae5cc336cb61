import { BlockError, type FileCall, type Image, type ImageSnapshot } from '../../../block/image.ts';
import { HeldImage } from '../../../block/qcow2/held-image.ts';
import { createImage } from '../../../block/qcow2/open-image.ts';
import type { BlockNode, NodeSnapshot } from '../../../domain/ports/block-nodes.ts';
import type { NodeRepair, NodeSpec } from '../block-messages.ts';
import { SnapshotFailure } from '../task-control.ts';
import { decodeAbout, decodePlace, PLACE_BYTES } from './snapshot-extra.ts';

type OpenNode = {
  readonly name: string;
  readonly held: HeldImage;
  /** The snapshots in `published`. */
  snapshots: readonly ImageSnapshot[];
  published: BlockNode;
};

/** Every block device node of the service with its open image. The images are locked while the nodes are active. */
export class Nodes {
  readonly #nodes: ReadonlyMap<string, OpenNode>;
  readonly #publish: (node: BlockNode) => void;

  private constructor(nodes: ReadonlyMap<string, OpenNode>, publish: (node: BlockNode) => void) {
    this.#nodes = nodes;
    this.#publish = publish;
  }

  /**
   * Opens all nodes, or none. A file that may not be written is opened read-only. `publish` receives later changes.
   * @throws BlockError of the first node that cannot be opened; the message names the node.
   */
  static async open(
    specs: readonly NodeSpec[],
    { isActive, publish }: { readonly isActive: boolean; readonly publish: (node: BlockNode) => void },
  ): Promise<Nodes> {
    const opened = new Map<string, OpenNode>();
    try {
      for (const spec of specs) {
        const held = await ofNode(spec.name, () => openOrMake(spec, isActive));
        const { snapshots } = held.facts;
        opened.set(spec.name, { name: spec.name, held, snapshots, published: describe(spec.name, held) });
      }
    } catch (error) {
      await Promise.allSettled([...opened.values()].map(({ held }) => held.close()));
      throw error;
    }
    return new Nodes(opened, publish);
  }

  has(name: string): boolean {
    return this.#nodes.has(name);
  }

  /** @throws SnapshotFailure if there is no such node or it is inactive. */
  image(name: string): Image {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new SnapshotFailure('node_not_found', `There is no block device node '${name}'.`);
    if (node.held.image !== null) return node.held.image;
    const message = `Block device node '${name}' is inactive: its guest is on the other side of a migration, or was not started yet.`;
    throw new SnapshotFailure('node_inactive', message);
  }

  /** The image of a node; null if there is no such node or it is inactive. */
  imageOrNull(name: string): Image | null {
    return this.#nodes.get(name)?.held.image ?? null;
  }

  /** System calls in progress on the file of a node; null if there is no such node. */
  callsOn(name: string): { readonly underWay: Iterable<FileCall> } | null {
    return this.#nodes.get(name)?.held ?? null;
  }

  /**
   * Takes the locks of all nodes and reads their images again. After an error all of them are inactive.
   * @returns the repairs. @throws BlockError of the first node that fails; the message names the node.
   */
  async activate(): Promise<NodeRepair[]> {
    const inactive = [...this.#nodes.values()].filter(({ held }) => held.image === null);
    try {
      for (const { name, held } of inactive) await ofNode(name, () => held.activate());
    } catch (error) {
      await Promise.allSettled(inactive.map(({ held }) => held.deactivate()));
      throw error;
    }
    this.#publishAll();
    return this.repairs().filter(({ node }) => inactive.some(({ name }) => name === node));
  }

  /**
   * Flushes all images and releases their locks. No request may be in progress.
   * @throws BlockError of the first node that cannot be flushed; some nodes may be inactive then.
   */
  async deactivate(): Promise<void> {
    try {
      for (const { name, held } of this.#nodes.values()) await ofNode(name, () => held.deactivate());
    } finally {
      this.#publishAll();
    }
  }

  catalogue(): BlockNode[] {
    return [...this.#nodes.values()].map(({ published }) => published);
  }

  repairs(): NodeRepair[] {
    return [...this.#nodes.values()].flatMap(({ name, held }) => {
      const repaired = held.image?.repaired ?? null;
      return repaired === null ? [] : [{ node: name, ...repaired }];
    });
  }

  /** Publishes the nodes among `names` whose snapshots or size changed since they were last published. */
  refresh(names: readonly string[]): void {
    for (const name of names) {
      const node = this.#nodes.get(name);
      if (node === undefined) continue;
      const { diskBytes, snapshots } = node.held.facts;
      if (snapshots !== node.snapshots || diskBytes !== node.published.diskBytes) this.#publishOne(node);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#nodes.values()].map(({ held }) => held.close()));
  }

  #publishAll(): void {
    for (const node of this.#nodes.values()) this.#publishOne(node);
  }

  #publishOne(node: OpenNode): void {
    node.snapshots = node.held.facts.snapshots;
    node.published = describe(node.name, node.held);
    this.#publish(node.published);
  }
}

/** Runs `work` on the image of a node, and adds the name of the node to its error. */
async function ofNode<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    throw new BlockError(error.code, `block device node '${name}': ${error.message}`, { cause: error });
  }
}

async function openOrMake({ path, createBytes }: NodeSpec, isActive: boolean): Promise<HeldImage> {
  try {
    return await HeldImage.open(path, { isActive });
  } catch (error) {
    const code = error instanceof BlockError ? error.code : null;
    if (code === 'image_not_found' && createBytes !== null) {
      await createImage(path, { diskBytes: createBytes });
      return HeldImage.open(path, { isActive });
    }
    if (code === 'permission_denied' || code === 'image_read_only') {
      return HeldImage.open(path, { isActive, readOnly: true });
    }
    throw error;
  }
}

function describe(name: string, held: HeldImage): BlockNode {
  const { diskBytes, isReadOnly, snapshots } = held.facts;
  const readOnlyReason = isReadOnly ? (held.facts.readOnlyReason ?? `The file ${held.path} may not be written.`) : null;
  const isActive = held.image !== null;
  const { path } = held;
  return { name, path, isReadOnly, readOnlyReason, isActive, diskBytes, snapshots: snapshots.map(nodeSnapshot) };
}

function nodeSnapshot(snapshot: ImageSnapshot): NodeSnapshot {
  const { id, name: tag, dateMs, clockNs, vmStateBytes, diskBytes, icount, extra } = snapshot;
  const known = { id, tag, dateMs, clockNs, vmStateBytes, diskBytes, icount };
  return { ...known, hasDigests: decodePlace(extra) !== null, about: decodeAbout(extra, PLACE_BYTES) };
}
