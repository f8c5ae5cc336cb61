import { BlockError, type Image, type ImageSnapshot } from '../../../block/image.ts';
import { createImage, openImage } from '../../../block/qcow2/open.ts';
import type { BlockNode, NodeSnapshot } from '../../../domain/snapshot-port.ts';
import type { NodeRepair, NodeSpec } from '../messages.ts';
import { SnapshotFailure } from '../snapshot-failure.ts';
import { decodePlace } from './manifest-place.ts';

type OpenNode = {
  readonly name: string;
  readonly image: Image;
  /** The array from which `published` was made. */
  snapshots: readonly ImageSnapshot[];
  published: BlockNode;
};

/** Every block device node of the service, its image open and locked. */
export class Nodes {
  readonly #nodes: ReadonlyMap<string, OpenNode>;
  readonly #publish: (node: BlockNode) => void;

  private constructor(nodes: ReadonlyMap<string, OpenNode>, publish: (node: BlockNode) => void) {
    this.#nodes = nodes;
    this.#publish = publish;
  }

  /**
   * Opens all of them, or none. A file that may not be written is opened to be read. `publish` is told of later changes.
   * @throws BlockError of the first that cannot be opened; the message names the node.
   */
  static async open(specs: readonly NodeSpec[], publish: (node: BlockNode) => void): Promise<Nodes> {
    const opened = new Map<string, OpenNode>();
    try {
      for (const spec of specs) {
        const image = await openNode(spec);
        opened.set(spec.name, {
          name: spec.name,
          image,
          snapshots: image.snapshots,
          published: describe(spec.name, image),
        });
      }
    } catch (error) {
      await Promise.allSettled([...opened.values()].map(({ image }) => image.close()));
      throw error;
    }
    return new Nodes(opened, publish);
  }

  /** @throws SnapshotFailure if there is no such node. */
  image(name: string): Image {
    const node = this.#nodes.get(name);
    if (node === undefined) throw new SnapshotFailure('node_not_found', `There is no block device node '${name}'.`);
    return node.image;
  }

  /** The node's image, or null if there is no such node. */
  imageOrNull(name: string): Image | null {
    return this.#nodes.get(name)?.image ?? null;
  }

  catalogue(): BlockNode[] {
    return [...this.#nodes.values()].map(({ published }) => published);
  }

  repairs(): NodeRepair[] {
    return [...this.#nodes.values()].flatMap(({ name, image }) =>
      image.repaired === null ? [] : [{ node: name, ...image.repaired }],
    );
  }

  /** Tells of the nodes among `names` whose snapshots or size changed since they were last told. */
  refresh(names: readonly string[]): void {
    for (const name of names) {
      const node = this.#nodes.get(name);
      if (node === undefined) continue;
      const { diskBytes, snapshots } = node.image;
      if (snapshots === node.snapshots && diskBytes === node.published.diskBytes) continue;
      node.snapshots = snapshots;
      node.published = describe(name, node.image);
      this.#publish(node.published);
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#nodes.values()].map(({ image }) => image.close()));
  }
}

async function openNode(spec: NodeSpec): Promise<Image> {
  try {
    return await openOrMake(spec);
  } catch (error) {
    if (!(error instanceof BlockError)) throw error;
    throw new BlockError(error.code, `block device node '${spec.name}': ${error.message}`, { cause: error });
  }
}

async function openOrMake({ path, createBytes }: NodeSpec): Promise<Image> {
  try {
    return await openImage(path);
  } catch (error) {
    const code = error instanceof BlockError ? error.code : null;
    if (code === 'image_not_found' && createBytes !== null) {
      await createImage(path, { diskBytes: createBytes });
      return openImage(path);
    }
    if (code === 'permission_denied' || code === 'image_read_only') return openImage(path, { readOnly: true });
    throw error;
  }
}

function describe(name: string, image: Image): BlockNode {
  const { path, isReadOnly, diskBytes } = image;
  const readOnlyReason = isReadOnly ? (image.readOnlyReason ?? `The file ${path} may not be written.`) : null;
  return { name, path, isReadOnly, readOnlyReason, diskBytes, snapshots: image.snapshots.map(nodeSnapshot) };
}

function nodeSnapshot(snapshot: ImageSnapshot): NodeSnapshot {
  const { id, name: tag, dateMs, clockNs, vmStateBytes, diskBytes, icount, extra } = snapshot;
  return { id, tag, dateMs, clockNs, vmStateBytes, diskBytes, icount, hasDigests: decodePlace(extra) !== null };
}
