import { DomainError, type Violation } from '../errors.ts';
import type { Occupancy } from '../occupancy.ts';
import type { BlockNode } from '../ports/block-nodes.ts';
import type { Settings } from '../settings/settings.ts';
import { type Catalogue, nodeNotFound, type Snapshot } from './catalogue.ts';
import { list, shown } from './snapshot-tag.ts';

/* The nodes of a snapshot, and whether they can be used. */

/** The default nodes of a save: all writable nodes; the first one stores the VM state. */
export function nodesToSave(catalogue: Catalogue): { readonly vmState: string; readonly devices: readonly string[] } {
  const devices = writable(catalogue.nodes());
  const [vmState] = devices;
  if (vmState === undefined) {
    const why = catalogue.nodes().map(({ name, readOnlyReason }) => ` '${name}': ${readOnlyReason ?? ''}`);
    const detail = `No block device node can be written, so none can take a snapshot.${why.join('')}`;
    throw new DomainError('node_read_only', detail);
  }
  return { vmState, devices };
}

/** The writable nodes that hold a snapshot; if none of its nodes is writable, all that hold it. @throws DomainError */
export function nodesThatHold(catalogue: Catalogue, tag: string): readonly string[] {
  const holders = catalogue.get(tag).parts.map(({ node }) => node);
  const canBeWritten = writable(catalogue.nodes());
  const found = holders.filter((name) => canBeWritten.includes(name));
  return found.length > 0 ? found : holders;
}

/** @throws DomainError if the list is empty, or names a node twice, an unknown node, or a node that is not writable. */
export function checkDevices(catalogue: Catalogue, devices: readonly string[]): void {
  checkList(catalogue, devices);
  const readOnly = catalogue.nodes().filter(({ isReadOnly }) => isReadOnly);
  for (const node of readOnly) if (devices.includes(node.name)) throw readOnlyNode(node);
}

/** Like `checkDevices`, for nodes that are only read. */
export function checkList(catalogue: Catalogue, devices: readonly string[]): void {
  const violations: Violation[] = [];
  if (devices.length === 0) {
    violations.push({ pointer: '/devices', reason: 'devices is empty; it needs a node at least.' });
  }
  devices.forEach((name, index) => {
    if (devices.indexOf(name) === index) return;
    violations.push({ pointer: `/devices/${index}`, reason: `devices names '${name}' more than once.` });
  });
  refuse(violations);
  devices.forEach((name, index) => {
    nodeOf(catalogue, name, `/devices/${index}`);
  });
}

/** The node with the VM state must be one of `devices`, as in QEMU. @throws DomainError */
export function checkVmState(catalogue: Catalogue, devices: readonly string[], vmState: string): void {
  nodeOf(catalogue, vmState, '/vmstate');
  if (devices.includes(vmState)) return;
  refuse([{ pointer: '/vmstate', reason: `vmstate is '${vmState}', which is not one of devices: ${list(devices)}.` }]);
}

/** @throws DomainError if this node's part of the snapshot has no VM state. */
export function requireVmState({ tag, parts }: Snapshot, vmState: string): void {
  if (parts.find(({ node }) => node === vmState)?.vmStateBytes !== 0) return;
  const detail = `Node '${vmState}' holds only the disk of snapshot ${shown(tag)}, no machine.`;
  throw new DomainError('snapshot_without_vm_state', detail);
}

/** @throws DomainError if one of the nodes holds the tag. */
export function refuseExisting(catalogue: Catalogue, tag: string, devices: readonly string[]): void {
  const holders = holdersOf(catalogue.find(tag), devices);
  if (holders.length === 0) return;
  throw new DomainError('snapshot_exists', `The tag ${shown(tag)} is taken: ${list(holders)} holds a snapshot of it.`);
}

/** @throws DomainError if one of the nodes does not hold the tag. */
export function requireOnAll(catalogue: Catalogue, tag: string, devices: readonly string[]): Snapshot {
  const found = catalogue.find(tag);
  const holders = holdersOf(found, devices);
  if (found !== null && holders.length === devices.length) return found;
  const without = devices.filter((name) => !holders.includes(name));
  throw new DomainError('snapshot_not_found', `There is no snapshot ${shown(tag)} on ${list(without)}.`);
}

/** The nodes of `devices` that hold the snapshot. */
export function holdersOf(snapshot: Snapshot | null, devices: readonly string[]): readonly string[] {
  const parts = snapshot?.parts ?? [];
  return devices.filter((name) => parts.some(({ node }) => node === name));
}

/**
 * The nodes to delete a snapshot from: the given ones, of which at least one must hold it, or by default all that hold
 * it.
 */
export function nodesToDelete(catalogue: Catalogue, tag: string, given?: readonly string[]): readonly string[] {
  const found = catalogue.get(tag);
  if (given === undefined) return nodesThatHold(catalogue, tag);
  checkList(catalogue, given);
  if (holdersOf(found, given).length > 0) return given;
  throw new DomainError('snapshot_not_found', `There is no snapshot ${shown(tag)} on ${list(given)}.`);
}

/** A warning that names the writable nodes that are not saved or loaded; null: none. */
export function leftOut(catalogue: Catalogue, devices: readonly string[]): string | null {
  const missing = writable(catalogue.nodes()).filter((name) => !devices.includes(name));
  if (missing.length === 0) return null;
  const [are, their] = missing.length === 1 ? ['is', 'its'] : ['are', 'their'];
  return `${list(missing)} can be written by the guest and ${are} not part of this: ${their} content may not fit the rest.`;
}

/**
 * A warning that names the nodes whose part has another date than the part with the VM state (without VM state: the
 * first part), for example because a node was saved again with the same tag; null: none.
 */
export function ofOtherMoments({ tag, parts }: Snapshot, devices: readonly string[]): string | null {
  const used = parts.filter(({ node }) => devices.includes(node));
  const first = used.find(({ vmStateBytes }) => vmStateBytes > 0) ?? used[0];
  const others = used.filter(({ dateMs }) => dateMs !== first?.dateMs).map(({ node }) => node);
  if (first === undefined || others.length === 0) return null;
  const what = `What ${list(others)} ${others.length === 1 ? 'holds' : 'hold'} of snapshot ${shown(tag)}`;
  return `${what} was taken in another moment than that on '${first.node}': its content may not fit the rest.`;
}

/** The node of `devices` with the VM state, or else any node with it. @throws DomainError if none has it. */
export function requireVmStateIn({ tag, vmState, parts }: Snapshot, devices: readonly string[]): string {
  const found = parts.find(({ node, vmStateBytes }) => vmStateBytes > 0 && devices.includes(node))?.node ?? vmState;
  if (found !== null) return found;
  throw new DomainError('snapshot_without_vm_state', `Snapshot ${shown(tag)} holds disks only, no machine.`);
}

function nodeOf(catalogue: Catalogue, name: string, pointer: string): BlockNode {
  const node = catalogue.nodes().find((one) => one.name === name);
  if (node === undefined) throw nodeNotFound(catalogue.nodes(), name, pointer);
  return node;
}

function readOnlyNode({ name, readOnlyReason }: BlockNode): DomainError {
  const detail = `The block device node '${name}' is open for reading only. ${readOnlyReason ?? ''}`;
  return new DomainError('node_read_only', detail.trimEnd());
}

function writable(nodes: readonly BlockNode[]): readonly string[] {
  return nodes.filter(({ isReadOnly }) => !isReadOnly).map(({ name }) => name);
}

function refuse(violations: readonly Violation[]): void {
  if (violations.length === 0) return;
  throw new DomainError('invalid_devices', violations.map(({ reason }) => reason).join(' '), { violations });
}

export type RefusalParts = {
  readonly occupancy: Pick<Occupancy, 'refuse'>;
  readonly settings: Pick<Settings, 'has'>;
};

/** Capabilities that change the form of a stream. The VM state in an image is one plain stream. */
const RULED_OUT = ['multifd', 'mapped-ram'] as const;

/**
 * Checked when the job is requested, and again when it starts, because it may have waited for another job.
 * @throws DomainError if the machine cannot be captured or replaced now
 */
export function refuseMachineSnapshot({ occupancy, settings }: RefusalParts): void {
  occupancy.refuse('machine snapshot');
  const on = RULED_OUT.filter((name) => settings.has(name));
  if (on.length === 0) return;
  const detail = `${on.join(' and ')} is on, which changes the form of a stream; an image holds the plain one.`;
  throw new DomainError('snapshot_with_capability', detail);
}
