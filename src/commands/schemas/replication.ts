import { Type } from 'typebox';
import { COLO_EXIT_REASONS, COLO_MODES } from '../../domain/replication.ts';
import { Int64, Text } from './common.ts';

/* Types of the QAPI schema for Xen and COLO. */

const closed = { additionalProperties: false } as const;
const filename = Text('A path below the file root, as in file: addresses.');

export const XenSaveDevicesStateArguments = Type.Object(
  {
    filename,
    live: Type.Optional(Type.Boolean({ description: 'Has no effect: the images of a stopped guest stay locked.' })),
  },
  closed,
);

export const XenLoadDevicesStateArguments = Type.Object({ filename }, closed);

export const DeviceStateFile = Type.Object({
  filename: Type.String({ description: 'Path below the file root.' }),
  bytes: Int64(),
  sections: Int64({ description: 'Number of sections: one for each device, and one for the run state.' }),
});

export const XenSetGlobalDirtyLogArguments = Type.Object({ enable: Type.Boolean() }, closed);

export const XenSetReplicationArguments = Type.Object(
  {
    enable: Type.Boolean(),
    primary: Type.Boolean(),
    failover: Type.Optional(Type.Boolean({ description: 'Allowed only if enable is false.' })),
  },
  closed,
);

export const ReplicationStatus = Type.Object({ error: Type.Boolean(), desc: Type.Optional(Type.String()) });

export const COLOMode = Type.Enum([...COLO_MODES]);
export const COLOExitReason = Type.Enum([...COLO_EXIT_REASONS]);
export const COLOStatus = Type.Object({ mode: COLOMode, 'last-mode': COLOMode, reason: COLOExitReason });
