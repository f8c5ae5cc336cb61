import type { Static } from 'typebox';
import type { DigestReading, PartDigests } from '../../domain/ports/block-nodes.ts';
import type { Snapshot as DomainSnapshot } from '../../domain/snapshots/catalogue.ts';
import type { Snapshot, SnapshotDetail, SnapshotDigests } from '../schemas/snapshots.ts';

/** A snapshot as HTTP shows it. */
export function snapshotView(snapshot: DomainSnapshot): Static<typeof Snapshot> {
  return {
    tag: snapshot.tag,
    id: snapshot.id,
    date: new Date(snapshot.dateMs).toISOString(),
    'vm-state-size': snapshot.vmStateBytes,
    'vm-clock': snapshot.clockNs,
    icount: snapshot.icount,
    vmstate: snapshot.vmState,
    nodes: snapshot.parts.map((part) => ({
      name: part.node,
      id: part.id,
      'disk-size': part.diskBytes,
      'vm-state-size': part.vmStateBytes,
      'has-digests': part.hasDigests,
    })),
    consistent: snapshot.isConsistent,
    'has-digests': snapshot.hasDigests,
    ...aboutView(snapshot.about),
  };
}

function aboutView(about: DomainSnapshot['about']) {
  const { description = null, expiresAtMs = null, ramBytes = null, vcpus = null } = about ?? {};
  const expiresAt = expiresAtMs === null ? null : new Date(expiresAtMs).toISOString();
  return { description, 'expires-at': expiresAt, 'ram-size': ramBytes, vcpus };
}

/** The same view with the digests of the parts, in the order of the parts. */
export function snapshotDetailView(
  snapshot: DomainSnapshot,
  readings: readonly DigestReading[],
): Static<typeof SnapshotDetail> {
  const view = snapshotView(snapshot);
  const nodes = view.nodes.map((node, index) => {
    const { digests = null, fault = null } = readings[index] ?? {};
    const shown = digests === null ? null : digestsView(digests);
    return { ...node, digests: shown, ...(fault === null ? {} : { 'digests-error': fault }) };
  });
  return { ...view, nodes };
}

function digestsView({ ramBlocks, deviceState, disk }: PartDigests): Static<typeof SnapshotDigests> {
  const blocks = ramBlocks.map(({ name, bytes, digest }) => ({ name, size: bytes, digest }));
  return { 'ram-blocks': blocks, 'device-state': deviceState, disk };
}
