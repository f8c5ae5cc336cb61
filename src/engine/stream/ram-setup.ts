import { type ByteReader, ByteWriter, StreamError } from './bytes.ts';
import { multifdDiffers } from './configuration.ts';
import { RAM_BLOCKS_MAX, RAM_FLAG, RAM_FLAGS_MASK } from './constants.ts';

/*
 * Body of the ram section's START: the list of blocks.
 *
 *   u64 total | MEM_SIZE, then for each block str8 name, u64 length, until the lengths sum up to total; u64 EOS
 */

export type RamBlockLength = { readonly name: string; readonly bytes: number };

const PAGE_BYTES = 4096;

export function encodeRamSetup(blocks: readonly RamBlockLength[]): Uint8Array {
  const total = blocks.reduce((sum, block) => sum + block.bytes, 0);
  const writer = new ByteWriter().u64(total + RAM_FLAG.memSize);
  for (const block of blocks) writer.str8(block.name).u64(block.bytes);
  return writer.u64(RAM_FLAG.eos).finish();
}

/** The block list up to and with the EOS record. @throws StreamError if it is not one. */
export function decodeRamSetup(reader: ByteReader): readonly RamBlockLength[] {
  const word = reader.u64('the RAM size');
  const flags = word % (RAM_FLAGS_MASK + 1);
  if (flags !== RAM_FLAG.memSize) {
    throw new StreamError(
      'ram_setup_broken',
      `the ram section begins with flags 0x${flags.toString(16)}, not with the block list`,
    );
  }
  let left = word - flags;
  if (left === 0) throw new StreamError('ram_setup_broken', 'the stream lists no RAM');
  const blocks: RamBlockLength[] = [];
  const names = new Set<string>();
  while (left > 0) {
    const name = reader.str8();
    const bytes = reader.u64(`the length of RAM block '${name}'`);
    checkBlock({ name, bytes }, left, names);
    names.add(name);
    blocks.push({ name, bytes });
    left -= bytes;
  }
  const end = reader.u64('the record behind the block list');
  if (end === RAM_FLAG.multifdFlush) throw multifdDiffers('a mark of multifd follows the block list');
  if (end !== RAM_FLAG.eos) {
    throw new StreamError(
      'ram_setup_broken',
      `the block list is followed by record 0x${end.toString(16)}, not by its end mark`,
    );
  }
  return blocks;
}

function checkBlock(block: RamBlockLength, left: number, before: ReadonlySet<string>): void {
  if (block.bytes === 0 || block.bytes % PAGE_BYTES !== 0) {
    throw new StreamError(
      'ram_block_length',
      `RAM block '${block.name}' has ${block.bytes} bytes, no positive multiple of ${PAGE_BYTES}`,
    );
  }
  if (block.bytes > left) {
    throw new StreamError(
      'ram_block_length',
      `RAM block '${block.name}' has ${block.bytes} bytes, above the ${left} left of the total`,
    );
  }
  if (before.has(block.name)) {
    throw new StreamError('ram_block_duplicate', `RAM block '${block.name}' is listed twice`);
  }
  if (before.size >= RAM_BLOCKS_MAX) {
    throw new StreamError('ram_blocks_too_many', `more than ${RAM_BLOCKS_MAX} RAM blocks are listed`);
  }
}
