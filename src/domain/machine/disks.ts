import type { Context } from '../context.ts';
import { DomainError, isErrorCode } from '../errors.ts';
import type { SnapshotError } from '../snapshot-port.ts';
import { recoverAfterArrival } from '../snapshots/recovery.ts';

/*
 * The guest's disks go where the guest goes: their images are active here only while the guest is here
 * (docs/adr/0048-shared-disks-change-hands-at-switchover.md).
 */

/**
 * Takes the locks of the images and reads them anew, and puts right what an earlier process left in them.
 * @throws DomainError, such as `image_locked`: then all images are inactive.
 */
export async function activateDisks(context: Context): Promise<void> {
  try {
    await context.blocks.activate();
  } catch (cause) {
    const { code = '', message = String(cause) } = (cause ?? {}) as Partial<SnapshotError>;
    const detail = `The guest's disks cannot be used here: ${message}`;
    throw new DomainError(isErrorCode(code) ? code : 'engine_failed', detail, { cause });
  }
  await recoverAfterArrival(context);
}

/** Gives the images up again for a guest that will not be here after all. A fault is reported. */
export async function giveDisksBack(context: Context): Promise<void> {
  await context.blocks.deactivate().catch(context.report);
}
