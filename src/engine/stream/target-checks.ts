import type { TransferError } from '../../domain/ports/migration-session.ts';
import { createGuestMemory } from '../memory/guest-memory.ts';
import type { GuestMemory, TransferTarget } from '../memory/machine-state.ts';
import { pageSizeDiffers, STREAM_PAGE_BYTES } from '../pages/page-size.ts';
import type { IncomingPlan } from '../transfer-engine.ts';
import { StreamError } from './bytes.ts';
import type { Configuration } from './configuration.ts';
import type { RamBlockLength } from './ram-setup.ts';

/** Compares the stream's configuration with this machine. @returns an error with both values of the first difference, or null. */
export function refusalOf(
  configuration: Configuration,
  plan: Pick<IncomingPlan, 'target' | 'capabilities' | 'uuid'>,
): StreamError | null {
  const { target } = plan;
  if (configuration.targetPageBits !== null && 2 ** configuration.targetPageBits !== STREAM_PAGE_BYTES) {
    return pageSizeDiffers(2 ** configuration.targetPageBits);
  }
  if (target.form === 'devices' && configuration.machineName !== target.machineName) {
    return new StreamError(
      'machine_differs',
      `the stream holds a machine '${configuration.machineName}'; this one is a '${target.machineName}'. ` +
        'A service that was started with --machine image takes a machine of QEMU',
    );
  }
  const unknown = configuration.capabilities.find((capability) => !plan.capabilities.includes(capability));
  if (unknown !== undefined) {
    return new StreamError('capability_differs', `the source has the capability '${unknown}' on, which is off here`);
  }
  const isUuidCompared = target.form === 'devices' || plan.capabilities.includes('validate-uuid');
  if (plan.uuid === null || configuration.uuid === null || !isUuidCompared) return null;
  const received = Buffer.from(configuration.uuid).toString('hex');
  const own = plan.uuid.replaceAll('-', '').toLowerCase();
  if (received === own) return null;
  return new StreamError(
    'uuid_differs',
    `the stream has the uuid ${dashed(received)}; this machine has ${dashed(own)}`,
  );
}

/** @param described page size of the vmdescription, or null. @throws StreamError if it is not the supported one. */
export function checkPageBytes(described: number | null): void {
  if (described !== null && described !== STREAM_PAGE_BYTES) throw pageSizeDiffers(described);
}

/** The memory for the stream's RAM: that of the machine, or new memory for an image. @throws StreamError */
export function memoryFor(blocks: readonly RamBlockLength[], target: TransferTarget): GuestMemory {
  if (target.form === 'devices') {
    checkBlocks(blocks, target.memory);
    return target.memory;
  }
  const total = blocks.reduce((sum, block) => sum + block.bytes, 0);
  if (total > target.ramBytesMax) {
    throw new StreamError(
      'ram_too_large',
      `the machine has ${total} bytes of RAM; this host takes ${target.ramBytesMax}`,
    );
  }
  return createGuestMemory(blocks);
}

/** Compares the stream's RAM blocks with those of this machine. @throws StreamError for the first difference. */
function checkBlocks(blocks: readonly RamBlockLength[], memory: GuestMemory): void {
  for (const block of blocks) {
    const own = memory.blocks.find((candidate) => candidate.name === block.name);
    if (own === undefined)
      throw new StreamError(
        'ram_block_unknown',
        `the stream has a RAM block '${block.name}', which this machine does not have`,
      );
    if (own.bytes !== block.bytes) {
      throw new StreamError(
        'ram_block_length',
        `RAM block '${block.name}' has ${block.bytes} bytes in the stream and ${own.bytes} here`,
      );
    }
  }
  const missing = memory.blocks.find((own) => !blocks.some((block) => block.name === own.name));
  if (missing !== undefined)
    throw new StreamError('ram_block_missing', `the stream has no RAM block '${missing.name}'`);
}

function dashed(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** The error of a migration for an exception while its stream was read. */
export function readError(error: unknown): TransferError {
  if (error instanceof StreamError) return { code: error.code, message: error.message };
  return { code: 'engine_crashed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
