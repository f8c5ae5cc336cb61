import type { Image, VmStateWriter } from '../../../block/image.ts';
import type { OutgoingChannel } from '../../channels/channel.ts';
import { memoryBytes } from '../../memory/guest-memory.ts';
import type { WaitPoint } from '../../session/wait-point.ts';
import { nodesOfSave, type SavePlan } from '../block-messages.ts';
import { endThread } from '../block-worker.ts';
import { LeftBehind, SnapshotFailure, type TaskControl } from '../task-control.ts';
import { MachineWriter } from './machine-writer.ts';
import { diskReservation, fixedBytes, type ManifestBlock, placeholder, writeManifest } from './manifest.ts';
import type { Nodes } from './open-nodes.ts';
import { encodeAbout, encodePlace, type ManifestPlace } from './snapshot-extra.ts';
import { PieceTable } from './stream-pieces.ts';

/** Bytes of a placeholder in one write. */
const PLACEHOLDER_BYTES = 2 ** 20;

/** Time limit for the writes in progress when a save fails. */
const IDLE_MS_MAX = 5000;

/** State of a save on one node. */
type NodeSave = {
  readonly name: string;
  readonly image: Image;
  vmStateBytes: number;
  blocks: readonly ManifestBlock[];
  pieces: PieceTable;
  place: ManifestPlace;
  /** True if the image may contain changes that a failure must undo. */
  isBegun: boolean;
  /** Id of the snapshot; null before it is taken. */
  id: string | null;
};

/**
 * Takes a snapshot of a stopped machine: writes its stream into one node, then takes snapshots of all nodes. `captured`
 * is called when the machine may run again; the digests of the disks follow.
 *
 * A failure undoes all changes on every node.
 * @throws LeftBehind if changes could not be undone.
 */
export async function save(
  plan: SavePlan,
  nodes: Nodes,
  task: { readonly control: TaskControl; captured(): void },
): Promise<void> {
  const { control } = task;
  const names = nodesOfSave(plan);
  const saves = names.map((name) => newNodeSave(name, nodes.image(name)));
  try {
    for (const { image } of saves) await image.assertPresent();
    for (const node of saves) await fillVmState(node, plan, control);
    for (const node of saves) {
      await control.breathe();
      node.id = await takeSnapshot(node, plan);
    }
    task.captured();
    for (const node of saves) await writeManifest({ ...node, id: node.id ?? '' }, control);
    for (const { image, id } of saves) await image.checkFile(id ?? undefined);
  } catch (error) {
    await takeBack(saves, plan.tag, error);
    throw error;
  }
}

function newNodeSave(name: string, image: Image): NodeSave {
  const place = { position: 0, reservedBytes: 0 };
  return { name, image, vmStateBytes: 0, blocks: [], pieces: new PieceTable(), place, isBegun: false, id: null };
}

/** Writes the machine's stream, if this node stores it, and reserves space for the digests behind it. */
async function fillVmState(node: NodeSave, plan: SavePlan, control: TaskControl): Promise<void> {
  const writer = await node.image.beginVmState();
  node.isBegun = true;
  if (node.name === plan.vmState) await writeMachine(node, { plan, writer, control });
  const position = writer.align();
  const reservedBytes = fixedBytes(node.blocks, node.pieces) + diskReservation(node.image.diskBytes);
  node.place = { position, reservedBytes };
  const filler = placeholder(Math.min(PLACEHOLDER_BYTES, reservedBytes));
  for (let left = reservedBytes; left > 0; left -= filler.length) {
    await control.breathe();
    await writer.append(filler.subarray(0, Math.min(left, filler.length)));
  }
}

async function writeMachine(
  node: NodeSave,
  { plan, writer, control }: { plan: SavePlan; writer: VmStateWriter; control: TaskControl },
): Promise<void> {
  const { memory } = plan.source;
  control.addTotal(memoryBytes(memory));
  const channel = new VmStateChannel(writer, control.waitPoint);
  try {
    node.pieces = await new MachineWriter(plan, channel, control).write();
  } catch (error) {
    if (!(await channel.idle(IDLE_MS_MAX))) await endThread(`the disk of node ${node.name} does not answer`);
    throw channel.failure ?? error;
  }
  node.blocks = memory.blocks.map(({ name, bytes }) => ({ name, bytes }));
  node.vmStateBytes = node.pieces.streamBytes;
  if (writer.position !== node.vmStateBytes) {
    throw new SnapshotFailure(
      'engine_failed',
      `the stream has ${node.vmStateBytes} bytes and the VM state area ${writer.position}`,
    );
  }
}

async function takeSnapshot({ image, vmStateBytes, place }: NodeSave, plan: SavePlan): Promise<string> {
  const { tag, dateMs, clockNs, about } = plan;
  const { id } = await image.createSnapshot({
    name: tag,
    dateMs,
    clockNs,
    vmStateBytes,
    extra: Buffer.concat([encodePlace(place), ...(about === undefined ? [] : [encodeAbout(about)])]),
  });
  return id;
}

/**
 * Undoes the changes. VM state areas without a snapshot are freed first, because a deletion may need their space.
 * @throws LeftBehind with `cause` if a change cannot be undone.
 */
async function takeBack(saves: readonly NodeSave[], tag: string, cause: unknown): Promise<void> {
  const begun = saves.filter(({ isBegun }) => isBegun);
  const kept = await eachOf(
    begun.filter(({ id }) => id === null),
    ({ image }) => image.dropVmState(),
  );
  const deleteTaken = async ({ image, id }: NodeSave) => image.deleteSnapshot(id ?? '');
  const refused = await eachOf(
    begun.filter(({ id }) => id !== null),
    deleteTaken,
  );
  // The other deletions may have freed space.
  const left = [...kept, ...(await eachOf([...refused.keys()], deleteTaken))];
  if (left.length === 0) return;
  const reasons = left.map(([{ name }, why]) => `node ${name}: ${why}`);
  throw new LeftBehind(`the begun snapshot '${tag}' could not be removed: ${reasons.join('; ')}`, cause);
}

/** @returns the nodes for which `step` failed, with the reason. */
async function eachOf(
  saves: readonly NodeSave[],
  step: (node: NodeSave) => Promise<void>,
): Promise<Map<NodeSave, string>> {
  const failed = new Map<NodeSave, string>();
  for (const node of saves) {
    try {
      await step(node);
    } catch (error) {
      failed.set(node, error instanceof Error ? error.message : String(error));
    }
  }
  return failed;
}

/**
 * Appends in progress at a time. More are of no use: the system writes to a file sequentially, and with the page cache,
 * waiting threads take processor time from the encoding thread.
 */
const APPENDS = 3;

/** A stream into an image's VM state area. Whoever staged it waits on `waitPoint`, which hears of a failure. */
export class VmStateChannel implements OutgoingChannel {
  readonly hasReverse = false;
  readonly #writer: VmStateWriter;
  readonly #waitPoint: WaitPoint;
  readonly #waiting: (() => void)[] = [];
  readonly #appends = new Set<Promise<void>>();
  /** The first error of a write; null if there is none. */
  failure: unknown = null;

  constructor(writer: VmStateWriter, waitPoint: WaitPoint) {
    this.#writer = writer;
    this.#waitPoint = waitPoint;
  }

  write(bytes: Uint8Array, done: () => void): void {
    const append = () => this.#begin(bytes, done);
    if (this.#appends.size < APPENDS) append();
    else this.#waiting.push(append);
  }

  /**
   * Starts no more writes, and waits until the writes in progress have ended. The memory is no longer read then.
   * @returns false if they have not ended after `milliseconds`.
   */
  async idle(milliseconds: number): Promise<boolean> {
    this.#waiting.length = 0;
    const late = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => late.resolve(false), milliseconds);
    const isIdle = await Promise.race([late.promise, Promise.all(this.#appends).then(() => true)]);
    clearTimeout(timer);
    return isIdle;
  }

  onReverse(): void {}

  onFailure(): void {}

  async finish(): Promise<void> {}

  destroy(): void {}

  #begin(bytes: Uint8Array, done: () => void): void {
    const append = this.#append(bytes, done).finally(() => {
      this.#appends.delete(append);
      if (this.failure === null) this.#waiting.shift()?.();
    });
    this.#appends.add(append);
  }

  /** Never rejects. */
  async #append(bytes: Uint8Array, done: () => void): Promise<void> {
    try {
      await this.#writer.append(bytes);
      done();
    } catch (error) {
      this.failure ??= error;
      this.#waitPoint.fail({ code: 'channel_failed', message: String(error) });
    }
  }
}
