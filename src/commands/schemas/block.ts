import { Type } from 'typebox';
import { IoStatus } from './client-queries.ts';
import { Int64 } from './common.ts';

/* Block devices and their images, as the QAPI schema describes them. It includes image formats that vmferry does not support. */

const optionalInt = () => Type.Optional(Int64());
const optionalText = () => Type.Optional(Type.String());
const optionalFlag = () => Type.Optional(Type.Boolean());

const SnapshotInfo = Type.Object({
  id: Type.String(),
  name: Type.String(),
  'vm-state-size': Int64(),
  'date-sec': Int64(),
  'date-nsec': Int64(),
  'vm-clock-sec': Int64(),
  'vm-clock-nsec': Int64(),
  icount: optionalInt(),
});

const HashAlgorithm = Type.Enum(['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512', 'ripemd160', 'sm3']);

const LuksSlot = Type.Object({
  active: Type.Boolean(),
  iters: optionalInt(),
  stripes: optionalInt(),
  'key-offset': Int64(),
});

const luks = {
  'cipher-alg': Type.Enum([
    ...['aes-128', 'aes-192', 'aes-256', 'des', '3des', 'cast5-128', 'serpent-128', 'serpent-192', 'serpent-256'],
    ...['twofish-128', 'twofish-192', 'twofish-256', 'sm4'],
  ]),
  'cipher-mode': Type.Enum(['ecb', 'cbc', 'xts', 'ctr']),
  'ivgen-alg': Type.Enum(['plain', 'plain64', 'essiv']),
  'ivgen-hash-alg': Type.Optional(HashAlgorithm),
  'hash-alg': HashAlgorithm,
  'detached-header': Type.Boolean(),
  'payload-offset': Int64(),
  'master-key-iters': Int64(),
  uuid: Type.String(),
  slots: Type.Array(LuksSlot),
};

const Qcow2Bitmap = Type.Object({
  name: Type.String(),
  granularity: Int64(),
  flags: Type.Array(Type.Enum(['in-use', 'auto'])),
});

const Qcow2 = Type.Object({
  compat: Type.String(),
  'data-file': optionalText(),
  'data-file-raw': optionalFlag(),
  'extended-l2': optionalFlag(),
  'lazy-refcounts': optionalFlag(),
  corrupt: optionalFlag(),
  'refcount-bits': Int64(),
  encrypt: Type.Optional(
    Type.Union([Type.Object({ format: Type.Literal('aes') }), Type.Object({ format: Type.Literal('luks'), ...luks })]),
  ),
  bitmaps: Type.Optional(Type.Array(Qcow2Bitmap)),
  'compression-type': Type.Enum(['zlib', 'zstd']),
});

const VmdkExtent = Type.Object({
  filename: Type.String(),
  format: Type.String(),
  'virtual-size': Int64(),
  'cluster-size': optionalInt(),
  compressed: optionalFlag(),
});

const Vmdk = Type.Object({
  'create-type': Type.String(),
  cid: Int64(),
  'parent-cid': Int64(),
  extents: Type.Array(VmdkExtent),
});

const ImageInfoSpecific = Type.Union([
  Type.Object({ type: Type.Literal('qcow2'), data: Qcow2 }),
  Type.Object({ type: Type.Literal('vmdk'), data: Vmdk }),
  Type.Object({ type: Type.Literal('luks'), data: Type.Object(luks) }),
  Type.Object({
    type: Type.Literal('rbd'),
    data: Type.Object({ 'encryption-format': Type.Optional(Type.Enum(['luks', 'luks2', 'luks-any'])) }),
  }),
  Type.Object({ type: Type.Literal('file'), data: Type.Object({ 'extent-size-hint': optionalInt() }) }),
]);

const IMAGE_INFO = 'ImageInfo';

const ImageInfo = Type.Object(
  {
    filename: Type.String(),
    format: Type.String(),
    'dirty-flag': optionalFlag(),
    'actual-size': optionalInt(),
    'virtual-size': Int64(),
    'cluster-size': optionalInt(),
    encrypted: optionalFlag(),
    compressed: optionalFlag(),
    'backing-filename': optionalText(),
    'full-backing-filename': optionalText(),
    'backing-filename-format': optionalText(),
    snapshots: Type.Optional(Type.Array(SnapshotInfo)),
    'format-specific': Type.Optional(ImageInfoSpecific),
    'backing-image': Type.Optional(Type.Unsafe<unknown>({ $ref: IMAGE_INFO })),
  },
  { $id: IMAGE_INFO },
);

const BlockDirtyInfo = Type.Object({
  name: optionalText(),
  count: Int64(),
  granularity: Int64(),
  recording: Type.Boolean(),
  busy: Type.Boolean(),
  persistent: Type.Boolean(),
  inconsistent: optionalFlag(),
});

export const BlockDeviceInfo = Type.Object({
  file: Type.String(),
  'node-name': optionalText(),
  ro: Type.Boolean(),
  drv: Type.String(),
  backing_file: optionalText(),
  backing_file_depth: Int64(),
  active: Type.Boolean(),
  encrypted: Type.Boolean(),
  detect_zeroes: Type.Enum(['off', 'on', 'unmap']),
  bps: Int64(),
  bps_rd: Int64(),
  bps_wr: Int64(),
  iops: Int64(),
  iops_rd: Int64(),
  iops_wr: Int64(),
  image: ImageInfo,
  bps_max: optionalInt(),
  bps_rd_max: optionalInt(),
  bps_wr_max: optionalInt(),
  iops_max: optionalInt(),
  iops_rd_max: optionalInt(),
  iops_wr_max: optionalInt(),
  bps_max_length: optionalInt(),
  bps_rd_max_length: optionalInt(),
  bps_wr_max_length: optionalInt(),
  iops_max_length: optionalInt(),
  iops_rd_max_length: optionalInt(),
  iops_wr_max_length: optionalInt(),
  iops_size: optionalInt(),
  group: optionalText(),
  cache: Type.Object({ writeback: Type.Boolean(), direct: Type.Boolean(), 'no-flush': Type.Boolean() }),
  write_threshold: Int64(),
  'dirty-bitmaps': Type.Optional(Type.Array(BlockDirtyInfo)),
});
export const BlockDeviceInfoList = Type.Array(BlockDeviceInfo);

export const BlockInfoList = Type.Array(
  Type.Object({
    device: Type.String(),
    qdev: optionalText(),
    type: Type.String(),
    removable: Type.Boolean(),
    locked: Type.Boolean(),
    inserted: Type.Optional(BlockDeviceInfo),
    tray_open: optionalFlag(),
    'io-status': Type.Optional(IoStatus),
  }),
);

export const NamedNodesArguments = Type.Object(
  {
    flat: Type.Optional(
      Type.Boolean({ description: 'Lists no backing images. Images here have none, so the flag has no effect.' }),
    ),
  },
  { additionalProperties: false },
);
