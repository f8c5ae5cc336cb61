import { DomainError, type Violation } from '../errors.ts';
import type { BlockNode } from '../snapshot-port.ts';
import type { Catalogue, Snapshot } from './catalogue.ts';
import { shown } from './tag.ts';

/* Which nodes a snapshot is made of, and whether they can be. */

/** The nodes that a save without a word about them takes: all that can be written; the first has the VM state. */
export function nodesToSave(catalogue: Catalogue): { readonly vmState: string; readonly devices: readonly string[] } {
  const devices = writable(catalogue.nodes());
  const [vmState] = devices;
  if (vmState === undefined) {
    throw new DomainError('node_read_only', 'No block device node can be written, so none can take a snapshot.');
  }
  return { vmState, devices };
}

/** @throws DomainError if the list is empty, names a node twice, or one that is not there or cannot be written. */
export function checkDevices(catalogue: Catalogue, devices: readonly string[]): void {
  const violations: Violation[] = [];
  if (devices.length === 0)
    violations.push({ pointer: '/devices', reason: 'devices is empty; it needs a node at least.' });
  devices.forEach((name, index) => {
    if (devices.indexOf(name) === index) return;
    violations.push({ pointer: `/devices/${index}`, reason: `devices names '${name}' more than once.` });
  });
  refuse(violations);
  for (const name of devices) checkNode(catalogue, name);
}

/** The same, and that the node with the VM state is one of them, as QEMU wants it. */
export function checkMachineDevices(catalogue: Catalogue, devices: readonly string[], vmState: string): void {
  checkDevices(catalogue, devices);
  checkNode(catalogue, vmState);
  if (devices.includes(vmState)) return;
  refuse([{ pointer: '/vmstate', reason: `vmstate is '${vmState}', which is not one of devices: ${list(devices)}.` }]);
}

/** @throws DomainError if one of the nodes holds the tag: nothing is ever replaced. */
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

/** Those of the nodes that hold the snapshot. */
export function holdersOf(snapshot: Snapshot | null, devices: readonly string[]): readonly string[] {
  const parts = snapshot?.parts ?? [];
  return devices.filter((name) => parts.some(({ node }) => node === name));
}

/** What to warn of: nodes that the machine could write and that are not part of what is saved or loaded. */
export function leftOut(catalogue: Catalogue, devices: readonly string[]): string | null {
  const missing = writable(catalogue.nodes()).filter((name) => !devices.includes(name));
  if (missing.length === 0) return null;
  return `${list(missing)} can be written by the guest and is not part of this: its content may not fit the rest.`;
}

function checkNode(catalogue: Catalogue, name: string): void {
  const node = catalogue.nodes().find((one) => one.name === name);
  if (node === undefined) throw new DomainError('node_not_found', `There is no block device node '${name}'.`);
  if (node.isReadOnly) {
    throw new DomainError('node_read_only', `The block device node '${name}' is open for reading only.`);
  }
}

function writable(nodes: readonly BlockNode[]): readonly string[] {
  return nodes.filter(({ isReadOnly }) => !isReadOnly).map(({ name }) => name);
}

function refuse(violations: readonly Violation[]): void {
  if (violations.length === 0) return;
  throw new DomainError('invalid_devices', violations.map(({ reason }) => reason).join(' '), { violations });
}

function list(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ');
}
