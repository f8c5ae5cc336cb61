import type { Image, VmStateWriter } from '../../../block/image.ts';
import { memoryBytes } from '../../memory/guest-memory.ts';
import type { SavePlan } from '../block-engine-types.ts';
import { nodesOfSave } from '../messages.ts';
import { LeftBehind, SnapshotFailure } from '../snapshot-failure.ts';
import { encodeAbout } from './about.ts';
import { endThread } from './end-thread.ts';
import { MachineWriter } from './machine-writer.ts';
import { fixedBytes, type ManifestBlock, placeholder } from './manifest.ts';
import { encodePlace, type ManifestPlace } from './manifest-place.ts';
import { diskReservation, writeManifest } from './manifest-writer.ts';
import type { Nodes } from './nodes.ts';
import { PieceTable } from './piece-table.ts';
import type { TaskControl } from './task-control.ts';
import { VmStateChannel } from './vm-state-channel.ts';

/** Bytes of a placeholder that are written at a time. */
const PLACEHOLDER_BYTES = 2 ** 20;

/** A write that a save no longer waits for is given this long to end. */
const IDLE_MS_MAX = 5000;

/** What is made of one node. */
type NodeSave = {
  readonly name: string;
  readonly image: Image;
  vmStateBytes: number;
  blocks: readonly ManifestBlock[];
  pieces: PieceTable;
  place: ManifestPlace;
  /** True once there may be something in the image to take back. */
  isBegun: boolean;
  /** Of the snapshot, once it was taken. */
  id: string | null;
};

/**
 * Takes a snapshot of a machine that stands still: its stream into one node, then the disks of all nodes. `captured`
 * is called when the machine may go on; digests of the disks follow.
 *
 * Whatever goes wrong, on every node all is taken back before this throws.
 * @throws LeftBehind if that could not be done everywhere.
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

/** The machine's stream, where this node is to hold it, and room for the digests behind it. */
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
    if (!(await channel.idle(IDLE_MS_MAX))) await endThread(`the disk of node ${node.name} takes nothing any more`);
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
 * Removes what was made. The areas that no snapshot has come first: a deletion needs room, which they may free.
 * @throws LeftBehind with `cause`, if something cannot be removed.
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
  // The others may have made room meanwhile.
  const left = [...kept, ...(await eachOf([...refused.keys()], deleteTaken))];
  if (left.length === 0) return;
  const reasons = left.map(([{ name }, why]) => `node ${name}: ${why}`);
  throw new LeftBehind(`what was begun of snapshot '${tag}' could not be taken back: ${reasons.join('; ')}`, cause);
}

/** @returns those for which it failed, and why. */
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
