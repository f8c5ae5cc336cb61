import type { Context } from '../context.ts';
import { jobPutRight } from '../jobs/recovery.ts';
import type { JobRecord } from '../store-ports.ts';
import { DELETING } from './delete.ts';
import { holdersOf } from './devices.ts';
import { APPLYING } from './load.ts';
import { WRITING } from './save.ts';

/**
 * Makes the images agree again after a process that died in the middle of something: what was half saved goes, what
 * was half deleted goes from the rest, and disks that were being turned to a snapshot are turned to it, all of them.
 * Jobs that had not come so far have left nothing behind. May be run again, as often as it is interrupted itself.
 */
export async function recoverSnapshots(context: Context, jobs: readonly JobRecord[]): Promise<void> {
  for (const job of jobs) {
    await putRight(context, job);
    jobPutRight(context, job);
  }
}

async function putRight(context: Context, { type, phase, details }: JobRecord): Promise<void> {
  const { tag, devices } = readDetails(details);
  if (type === 'snapshot-save' && phase === WRITING) await removeFrom(context, tag, devices);
  if (type === 'snapshot-delete' && phase === DELETING) await finishDeletion(context, tag, devices);
  if (type === 'snapshot-load' && phase === APPLYING) await finishLoad(context, tag, devices);
}

/** A deletion that had not begun on any node did not happen. */
async function finishDeletion(context: Context, tag: string, devices: readonly string[]): Promise<void> {
  const left = holdersOf(context.catalogue.find(tag), devices);
  if (left.length < devices.length) await removeFrom(context, tag, left);
}

async function removeFrom(context: Context, tag: string, devices: readonly string[]): Promise<void> {
  const left = holdersOf(context.catalogue.find(tag), canBeWritten(context, devices));
  if (left.length > 0) await context.blocks.delete({ tag, devices: left }).ended;
}

async function finishLoad(context: Context, tag: string, devices: readonly string[]): Promise<void> {
  const there = holdersOf(context.catalogue.find(tag), canBeWritten(context, devices));
  if (there.length > 0) await context.blocks.applyDisks({ tag, devices: there }).ended;
}

/** The service may have been started with other nodes than before. */
function canBeWritten({ blocks }: Context, devices: readonly string[]): readonly string[] {
  const nodes = blocks.nodes().filter(({ isReadOnly }) => !isReadOnly);
  return devices.filter((name) => nodes.some((node) => node.name === name));
}

function readDetails({ tag, devices }: JobRecord['details']): { tag: string; devices: readonly string[] } {
  return {
    tag: typeof tag === 'string' ? tag : '',
    devices: Array.isArray(devices) ? devices.filter((name) => typeof name === 'string') : [],
  };
}
