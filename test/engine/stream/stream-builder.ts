/*
 * Migration streams written byte by byte from the description of the format, with nothing of src in between, so that
 * a fault that a writer and a reader of src have in common is seen. Every part can be made wrong.
 */

export const PAGE = 4096;

export const FLAG = { zero: 0x02, memSize: 0x04, page: 0x08, eos: 0x10, continue: 0x20 } as const;

export function u8(value: number): Buffer {
  return Buffer.from([value]);
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
}

export function str8(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([u8(bytes.length), bytes]);
}

export function magic(): Buffer {
  return Buffer.from('5145564d00000003', 'hex');
}

export function configuration(machineName: string, ...subsections: readonly Buffer[]): Buffer {
  return Buffer.concat([u8(7), u32(machineName.length), Buffer.from(machineName), ...subsections]);
}

export function subsection(name: string, payload: Buffer, version = 1): Buffer {
  return Buffer.concat([u8(5), str8(name), u32(version), payload]);
}

export function footer(sectionId: number): Buffer {
  return Buffer.concat([u8(0x7e), u32(sectionId)]);
}

export type Head = {
  readonly id: number;
  readonly idstr: string;
  readonly instance?: number;
  readonly version?: number;
};

export function head(type: number, { id, idstr, instance = 0, version = 1 }: Head): Buffer {
  return Buffer.concat([u8(type), u32(id), str8(idstr), u32(instance), u32(version)]);
}

export function full(section: Head, body: Uint8Array): Buffer {
  return Buffer.concat([head(4, section), body, footer(section.id)]);
}

export type Block = { readonly name: string; readonly bytes: number | bigint };

export function ramStart(id: number, blocks: readonly Block[], total?: bigint): Buffer {
  const sum = total ?? blocks.reduce((all, block) => all + BigInt(block.bytes), 0n);
  const list = blocks.map(({ name, bytes }) => Buffer.concat([str8(name), u64(bytes)]));
  const setup = Buffer.concat([u64(sum | 4n), ...list, u64(FLAG.eos)]);
  return Buffer.concat([head(1, { id, idstr: 'ram', version: 4 }), setup, footer(id)]);
}

/** A PART (2) or the END (3) of the ram section. */
export function ramPart(type: 2 | 3, id: number, ...records: readonly Buffer[]): Buffer {
  return Buffer.concat([u8(type), u32(id), ...records, u64(FLAG.eos), footer(id)]);
}

/** A page record; with a name it changes the block, without one it goes on in the block before. */
export function page(offset: number | bigint, content: Uint8Array, name?: string): Buffer {
  const flags = FLAG.page | (name === undefined ? FLAG.continue : 0);
  return Buffer.concat([u64(BigInt(offset) + BigInt(flags)), ...(name === undefined ? [] : [str8(name)]), content]);
}

export function zero(offset: number | bigint, name?: string, fill = 0): Buffer {
  const flags = FLAG.zero | (name === undefined ? FLAG.continue : 0);
  return Buffer.concat([u64(BigInt(offset) + BigInt(flags)), ...(name === undefined ? [] : [str8(name)]), u8(fill)]);
}

export function command(id: number, payload: Uint8Array = new Uint8Array(), length = payload.length): Buffer {
  return Buffer.concat([u8(8), u16(id), u16(length), payload]);
}

export function globalStateBody(runState: string): Buffer {
  const body = Buffer.alloc(104);
  body.writeUInt32BE(runState.length + 1);
  body.write(runState, 4, 'latin1');
  return body;
}

export function globalState(id: number, runState = 'running'): Buffer {
  return full({ id, idstr: 'globalstate' }, globalStateBody(runState));
}

export const EOF = u8(0);

export function description(json: unknown, length?: number): Buffer {
  const text = Buffer.from(typeof json === 'string' ? json : JSON.stringify(json));
  return Buffer.concat([u8(6), u32(length ?? text.length), text]);
}

/** A page of recognisable content. */
export function pattern(seed: number): Buffer {
  const bytes = Buffer.alloc(PAGE);
  for (let at = 0; at < PAGE; at += 4) bytes.writeUInt32LE((Math.imul(seed + 1, 0x9e3779b1) + at) >>> 0, at);
  return bytes;
}
