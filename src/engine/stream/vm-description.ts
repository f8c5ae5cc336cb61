import { type ByteReader, ByteWriter, StreamError } from './bytes.ts';
import { ELEMENT, VM_DESCRIPTION_BYTES_MAX } from './constants.ts';
import { GLOBAL_STATE_FIELDS, GLOBAL_STATE_SECTION } from './known-devices.ts';

/*
 * The vmdescription: 06, u32 length, JSON. It names every device section and its fields, so that a reader without
 * the machine can tell where a section ends:
 *
 *   {"configuration":{…},"page_size":4096,"devices":[{"name","instance_id","vmsd_name","version",
 *    "fields":[{"name","type","size"[,"array_len"][,"index"]…}],"subsections":[{"vmsd_name","version","fields"…}]}]}
 */

type FieldTable = readonly { readonly name: string; readonly type: string; readonly bytes: number }[];
export type DescribedDevice = {
  readonly idstr: string;
  readonly instanceId: number;
  readonly versionId: number;
  readonly fields: FieldTable;
};

/**
 * The element for a machine whose devices are known by their field tables; globalstate is added. `hasUuid`: the
 * configuration carries the machine's uuid.
 */
export function encodeVmDescription(
  machineName: string,
  devices: readonly DescribedDevice[],
  hasUuid = false,
): Uint8Array {
  const all = [...devices, { ...GLOBAL_STATE_SECTION, fields: GLOBAL_STATE_FIELDS }];
  const description = {
    configuration: describedConfiguration(machineName, hasUuid),
    page_size: 4096,
    devices: all.map((device) => ({
      name: device.idstr,
      instance_id: device.instanceId,
      vmsd_name: device.idstr,
      version: device.versionId,
      fields: device.fields.map((field) => ({ name: field.name, type: field.type, size: field.bytes })),
    })),
  };
  return encodeVmDescriptionText(findable(Buffer.from(JSON.stringify(description))));
}

function describedConfiguration(machineName: string, hasUuid: boolean) {
  const uuid = {
    vmsd_name: 'configuration/uuid',
    version: 1,
    fields: [{ name: 'uuid', type: 'buffer', size: 16 }],
  };
  return {
    vmsd_name: 'configuration',
    version: 1,
    fields: [
      { name: 'len', type: 'uint32', size: 4 },
      { name: 'name', type: 'buffer', size: Buffer.byteLength(machineName) },
    ],
    ...(hasUuid ? { subsections: [uuid] } : {}),
  };
}

/**
 * QEMU's analysis script looks for the first brace behind the stream's last NUL. A length that holds the code of a
 * brace would mislead it, so the text is made longer by blanks until its length has none.
 */
function findable(text: Buffer): Buffer {
  let blanks = 0;
  while (hasBrace(text.length + blanks)) blanks += 1;
  return Buffer.concat([text, Buffer.alloc(blanks, ' ')]);
}

function hasBrace(length: number): boolean {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes.includes(OPENING_BRACE);
}

const OPENING_BRACE = 0x7b;

/** The element around a text that is there already. */
export function encodeVmDescriptionText(text: Uint8Array): Uint8Array {
  return new ByteWriter().u8(ELEMENT.vmDescription).u32(text.length).bytes(text).finish();
}

/** What follows the type byte: the JSON text. */
export function decodeVmDescription(reader: ByteReader, bytesMax = VM_DESCRIPTION_BYTES_MAX): Uint8Array {
  const length = reader.u32();
  if (length > bytesMax) {
    throw new StreamError('vm_description_too_long', `the vmdescription has ${length} bytes, above ${bytesMax}`);
  }
  return reader.bytes(length);
}

/**
 * Finds the vmdescription at the end of a stream: the end mark, then the element, whose length takes in all that is
 * left. JSON has no NUL, and a length below 2^24 begins with one, so the last NUL lies in the end mark or the length.
 * @returns where the end mark is, and a copy of the text; null if `bytes` do not end so, or not yet.
 */
export function findVmDescription(bytes: Buffer): { readonly endMark: number; readonly text: Uint8Array } | null {
  const lastNul = bytes.lastIndexOf(0);
  for (let endMark = lastNul; endMark >= 0 && endMark > lastNul - HEAD_BYTES; endMark -= 1) {
    const text = endMark + HEAD_BYTES;
    if (bytes[endMark] !== ELEMENT.eof || bytes[endMark + 1] !== ELEMENT.vmDescription) continue;
    if (text >= bytes.length || bytes.readUInt32BE(endMark + 2) !== bytes.length - text) continue;
    if (parsed(bytes.subarray(text)) !== undefined) return { endMark, text: Buffer.from(bytes.subarray(text)) };
  }
  return null;
}

/** End mark, type byte, length. */
const HEAD_BYTES = 6;

function parsed(text: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(text.buffer, text.byteOffset, text.length).toString('utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Body sizes in bytes by `idstr/instance id`, as the description has them. Null if the text is not a description:
 * section ends are then found by their footers alone.
 */
export function describedBodySizes(text: Uint8Array): ReadonlyMap<string, number> | null {
  const devices = member(parsed(text), 'devices');
  if (!Array.isArray(devices)) return null;
  const sizes = new Map<string, number>();
  for (const device of devices) {
    const size = describedSize(device, 0);
    if (size !== null) sizes.set(`${member(device, 'name')}/${member(device, 'instance_id')}`, size);
  }
  return sizes;
}

/** The size of a page in bytes as the description has it; null if it names none. */
export function describedPageBytes(text: Uint8Array): number | null {
  const bytes = member(parsed(text), 'page_size');
  return isCount(bytes) ? bytes : null;
}

const NESTING_MAX = 16;

function describedSize(part: unknown, depth: number): number | null {
  if (depth > NESTING_MAX) return null;
  const fields = member(part, 'fields') ?? [];
  const subsections = member(part, 'subsections') ?? [];
  if (!Array.isArray(fields) || !Array.isArray(subsections)) return null;
  let bytes = 0;
  for (const field of fields) {
    const size = member(field, 'size');
    const count = member(field, 'array_len') ?? 1;
    if (!isCount(size) || !isCount(count)) return null;
    bytes += size * (member(field, 'index') === undefined ? count : 1);
  }
  for (const subsection of subsections) {
    const inner = describedSize(subsection, depth + 1);
    const name = member(subsection, 'vmsd_name');
    if (inner === null || typeof name !== 'string') return null;
    bytes += 1 + 1 + Buffer.byteLength(name) + 4 + inner;
  }
  return Number.isSafeInteger(bytes) ? bytes : null;
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
