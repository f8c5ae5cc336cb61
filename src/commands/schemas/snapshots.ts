import { Type } from 'typebox';
import { Int64, Text, Timestamp } from './common.ts';
import { paging } from './history.ts';

/* Snapshots: the arguments of the QAPI commands, what they may leave out over HTTP, and what the nodes hold. */

const NODES_MAX = 256;
/** No node has a name that long; what is longer is not kept with a job. */
const NODE_NAME_LENGTH_MAX = 255;

const jobId = Text('Name of the job, not one that is there; letters, digits, -, . and _, a letter first.');
const tag = Text('Name of the snapshot: 1 to 255 bytes, no control character, not only digits.');
const vmstate = Type.String({
  maxLength: NODE_NAME_LENGTH_MAX,
  description: 'The node that has RAM and device state; one of devices.',
});
const devices = Type.Array(Type.String({ maxLength: NODE_NAME_LENGTH_MAX }), {
  maxItems: NODES_MAX,
  description: 'The nodes that take part.',
});

const closed = { additionalProperties: false };
const machine = { 'job-id': jobId, tag, vmstate, devices };
const optional = {
  'job-id': Type.Optional(jobId),
  vmstate: Type.Optional(vmstate),
  devices: Type.Optional(devices),
};

/** Of a save as of a load. */
export const SnapshotArguments = Type.Object(machine, closed);
export const SnapshotDeleteArguments = Type.Object({ 'job-id': jobId, tag, devices }, closed);

/** The same with what can be worked out left to the service. */
export const SnapshotRequest = Type.Object({ tag, ...optional }, closed);
/** Seconds of ten years. */
const TTL_SECONDS_MAX = 315_360_000;
/** In UTF-8 it fits what an entry of a snapshot table has room for. */
const DESCRIPTION_LENGTH_MAX = 200;

/** A save with all that can be said about it. */
export const SnapshotSaveRequest = Type.Object(
  {
    tag,
    ...optional,
    replace: Type.Optional(
      Type.Boolean({
        description:
          'A snapshot that has the tag is replaced once the new one is whole; at every moment one of the two is there.',
      }),
    ),
    'if-missing': Type.Optional(
      Type.Boolean({ description: 'A whole snapshot that has the tag stays, and the job has nothing to do.' }),
    ),
    'disk-only': Type.Optional(
      Type.Boolean({ description: 'Only disks are saved, no RAM and devices. It cannot be loaded into a machine.' }),
    ),
    description: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: DESCRIPTION_LENGTH_MAX,
        description: 'Kept and shown with the snapshot: one line, no control character.',
      }),
    ),
    ttl: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: TTL_SECONDS_MAX,
        description:
          'Seconds after which the service deletes the snapshot, while it runs or when it starts the next time.',
      }),
    ),
  },
  closed,
);
export const SnapshotDeleteRequest = Type.Object(
  { tag, 'job-id': Type.Optional(jobId), devices: Type.Optional(devices) },
  closed,
);

/** A compaction of images; without devices, of all nodes that can be written. */
export const SnapshotCompactRequest = Type.Object(
  { 'job-id': Type.Optional(jobId), devices: Type.Optional(devices) },
  closed,
);

export const SnapshotNode = Type.Object({
  name: Type.String(),
  id: Type.String({ description: 'In the image. Nothing is ever looked up by it.' }),
  'disk-size': Int64({ description: 'Bytes, when it was taken.' }),
  'vm-state-size': Int64({ description: 'Bytes; 0: only the disk.' }),
  'has-digests': Type.Boolean({ description: 'Digests were kept, so that a verify compares every byte.' }),
});

const orNull = <S extends Parameters<typeof Type.Array>[0]>(schema: S) => Type.Union([schema, Type.Null()]);

export const Snapshot = Type.Object({
  tag: Type.String(),
  id: Type.String({ description: 'Of the part with the VM state. Nothing is ever looked up by it.' }),
  date: Timestamp({ description: 'When it was taken.' }),
  'vm-state-size': Int64({ description: 'Bytes of RAM and device state as they are stored; 0: disks only.' }),
  'vm-clock': Int64({ description: 'Guest clock when it was taken, nanoseconds.' }),
  icount: orNull(Int64({ description: 'Instructions counted, where that was on.' })),
  vmstate: orNull(Type.String({ description: 'The node that has the VM state.' })),
  nodes: Type.Array(SnapshotNode, { description: 'Those that hold a part.' }),
  consistent: Type.Boolean({ description: 'Every node that can be written has a part, and all are of one moment.' }),
  'has-digests': Type.Boolean({ description: 'Every part has digests.' }),
  description: orNull(Type.String({ description: 'What was said about it when it was saved.' })),
  'expires-at': orNull(Timestamp({ description: 'When the service may delete it; null: never.' })),
  'ram-size': orNull(Int64({ description: 'Bytes of RAM of the machine, as --ram; null: not known.' })),
  vcpus: orNull(Int64({ description: 'vCPUs of the machine, as --vcpus; null: not known.' })),
});

/** SHA-256 in hexadecimal, made from checksums of stretches: docs/image-format.md says how. */
const Digest = (description: string) => Type.String({ description });

export const SnapshotDigests = Type.Object({
  'ram-blocks': Type.Array(
    Type.Object({
      name: Type.String(),
      size: Int64({ description: 'Bytes.' }),
      digest: Digest('Of its pages, as they are stored.'),
    }),
    { description: 'Of the machine, on the node that has it; empty elsewhere.' },
  ),
  'device-state': orNull(Digest('Of all in the VM state that is not RAM; null where there is none.')),
  disk: Digest('Of what the disk has in this image.'),
});

export const SnapshotNodeDetail = Type.Object({
  ...SnapshotNode.properties,
  digests: orNull(SnapshotDigests),
  'digests-error': Type.Optional(
    Type.String({
      description: 'Why digests that were kept are not shown: they are damaged, or could not be read soon.',
    }),
  ),
});

/** One snapshot, with what was kept to compare it with. */
export const SnapshotDetail = Type.Object({
  ...Snapshot.properties,
  nodes: Type.Array(SnapshotNodeDetail, { description: 'Those that hold a part.' }),
});

export const SnapshotPage = Type.Object({
  snapshots: Type.Array(Snapshot),
  next: Type.Union([Type.String(), Type.Null()], { description: 'Cursor of the next page, or null at the end.' }),
});

export const SnapshotTag = Type.Object({ tag: Text('Tag of a snapshot.') }, closed);
export const SnapshotsQuery = Type.Object(
  { ...paging, node: Type.Optional(Text('Only snapshots that this node has a part of.')) },
  closed,
);

/** savevm of a text monitor: a name, or none for one made of the time. */
export const VmName = Type.Object({ name: Type.Optional(Text('Name of the snapshot.')) }, closed);
export const VmSaved = Type.Object({ name: Type.String() });
/** Those that every node holds, and those that some do; oldest first. */
export const VmList = Type.Object({ all: Type.Array(Snapshot), partial: Type.Array(Snapshot) });
