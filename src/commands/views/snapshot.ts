import type { Static } from 'typebox';
import type { Snapshot as DomainSnapshot } from '../../domain/snapshots/catalogue.ts';
import type { Snapshot } from '../schemas/snapshots.ts';

/** A snapshot as the outside sees it. */
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
  };
}
