import { Type } from 'typebox';
import { Int64, Text, Timestamp } from './common.ts';
import { paging } from './history.ts';

/* Snapshots: the arguments of the QAPI commands, the shorter arguments of HTTP, and the content of the nodes. */

const NODES_MAX = 256;
/** Longest node name. A longer name cannot be stored with a job. */
const NODE_NAME_LENGTH_MAX = 255;

const jobId = Text(
  'Id of the new job. It must not exist yet. It has letters, digits, -, . and _, and begins with a letter.',
);
const tag = Text('Tag of the snapshot: 1 to 255 bytes, without control characters, not only digits.');
const vmstate = Type.String({
  maxLength: NODE_NAME_LENGTH_MAX,
  description: 'The node that stores RAM and device state. It must be one of devices.',
});
const devices = Type.Array(Type.String({ maxLength: NODE_NAME_LENGTH_MAX }), {
  maxItems: NODES_MAX,
  description: 'The block device nodes of the snapshot.',
});

const closed = { additionalProperties: false };
const saveMembers = { 'job-id': jobId, tag, vmstate, devices };
const optional = {
  'job-id': Type.Optional(jobId),
  vmstate: Type.Optional(vmstate),
  devices: Type.Optional(devices),
};

/** Arguments of a save or a load. */
export const SnapshotArguments = Type.Object(saveMembers, closed);
export const SnapshotDeleteArguments = Type.Object({ 'job-id': jobId, tag, devices }, closed);

/** The same arguments. The service derives the omitted ones. */
export const SnapshotRequest = Type.Object({ tag, ...optional }, closed);
/** Ten years, in seconds. */
const TTL_SECONDS_MAX = 315_360_000;
/** Longest description, in characters. In UTF-8 it fits into an entry of a snapshot table. */
const DESCRIPTION_LENGTH_MAX = 200;

/** All arguments of a save over HTTP. */
export const SnapshotSaveRequest = Type.Object(
  {
    tag,
    ...optional,
    replace: Type.Optional(
      Type.Boolean({
        description:
          'Replace a snapshot with this tag once the new one is complete. At every moment at least one of the two exists.',
      }),
    ),
    'if-missing': Type.Optional(
      Type.Boolean({ description: 'If a complete snapshot with this tag exists, keep it and do nothing.' }),
    ),
    'disk-only': Type.Optional(
      Type.Boolean({
        description: 'Save only disks, without RAM and device state. Such a snapshot cannot be loaded into a machine.',
      }),
    ),
    description: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: DESCRIPTION_LENGTH_MAX,
        description: 'A description of the snapshot: one line without control characters.',
      }),
    ),
    ttl: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: TTL_SECONDS_MAX,
        description: 'Time to live in seconds. Then the service deletes the snapshot, or deletes it at its next start.',
      }),
    ),
  },
  closed,
);
export const SnapshotDeleteRequest = Type.Object(
  { tag, 'job-id': Type.Optional(jobId), devices: Type.Optional(devices) },
  closed,
);

/** Arguments of a compaction of images. Default for devices: all writable nodes. */
export const SnapshotCompactRequest = Type.Object(
  { 'job-id': Type.Optional(jobId), devices: Type.Optional(devices) },
  closed,
);

export const SnapshotNode = Type.Object({
  name: Type.String(),
  id: Type.String({ description: 'Id of the snapshot in the image. No command uses it.' }),
  'disk-size': Int64({ description: 'Size of the disk in bytes at the time of the snapshot.' }),
  'vm-state-size': Int64({ description: 'Size of the VM state in bytes; 0 if this node has only the disk.' }),
  'has-digests': Type.Boolean({
    description: 'True if digests are stored with the snapshot. Then a verification compares every byte.',
  }),
});

const orNull = <S extends Parameters<typeof Type.Array>[0]>(schema: S) => Type.Union([schema, Type.Null()]);

export const Snapshot = Type.Object({
  tag: Type.String(),
  id: Type.String({ description: 'Id of the part with the VM state. No command uses it.' }),
  date: Timestamp({ description: 'Time of the snapshot.' }),
  'vm-state-size': Int64({
    description: 'Size of the stored RAM and device state in bytes; 0 if the snapshot has only disks.',
  }),
  'vm-clock': Int64({ description: 'Guest clock at the time of the snapshot, in nanoseconds.' }),
  icount: orNull(Int64({ description: 'Number of executed instructions, if the machine counts them.' })),
  vmstate: orNull(Type.String({ description: 'The node with the VM state.' })),
  nodes: Type.Array(SnapshotNode, { description: 'The nodes that have a part of the snapshot.' }),
  consistent: Type.Boolean({
    description: 'True if every writable node has a part and all parts are from the same moment.',
  }),
  'has-digests': Type.Boolean({ description: 'True if every part has digests.' }),
  description: orNull(Type.String({ description: 'The description that was given when the snapshot was saved.' })),
  'expires-at': orNull(Timestamp({ description: 'Time after which the service deletes the snapshot; null: never.' })),
  'ram-size': orNull(Int64({ description: 'RAM of the machine in bytes, as given with --ram; null if unknown.' })),
  vcpus: orNull(Int64({ description: 'Number of vCPUs of the machine, as given with --vcpus; null if unknown.' })),
});

/** SHA-256 in hexadecimal over checksums of the content; docs/image-format.md describes the algorithm. */
const Digest = (description: string) => Type.String({ description });

export const SnapshotDigests = Type.Object({
  'ram-blocks': Type.Array(
    Type.Object({
      name: Type.String(),
      size: Int64({ description: 'Size in bytes.' }),
      digest: Digest('Digest of the stored pages.'),
    }),
    { description: 'RAM blocks of the machine. Empty on nodes without the VM state.' },
  ),
  'device-state': orNull(Digest('Digest of the VM state without RAM; null on nodes without the VM state.')),
  disk: Digest('Digest of the content of the disk in this image.'),
});

export const SnapshotNodeDetail = Type.Object({
  ...SnapshotNode.properties,
  digests: orNull(SnapshotDigests),
  'digests-error': Type.Optional(
    Type.String({
      description: 'Why stored digests are not shown: they are damaged, or reading them took too long.',
    }),
  ),
});

/** One snapshot with its stored digests. */
export const SnapshotDetail = Type.Object({
  ...Snapshot.properties,
  nodes: Type.Array(SnapshotNodeDetail, { description: 'The nodes that have a part of the snapshot.' }),
});

export const SnapshotPage = Type.Object({
  snapshots: Type.Array(Snapshot),
  next: Type.Union([Type.String(), Type.Null()], { description: 'Cursor of the next page, or null at the end.' }),
});

export const SnapshotTag = Type.Object({ tag: Text('Tag of a snapshot.') }, closed);
export const SnapshotsQuery = Type.Object(
  { ...paging, node: Type.Optional(Text('Only snapshots with a part on this node.')) },
  closed,
);

/** Arguments of savevm. Without a name, the service makes one from the time. */
export const VmName = Type.Object({ name: Type.Optional(Text('Name of the snapshot.')) }, closed);
export const VmSaved = Type.Object({ name: Type.String() });
/** The snapshots that all nodes have, and those that only some have; oldest first. */
export const VmList = Type.Object({ all: Type.Array(Snapshot), partial: Type.Array(Snapshot) });
