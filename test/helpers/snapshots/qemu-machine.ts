// A real QEMU whose disk is a qcow2 image, and its snapshot jobs.

import { expect } from 'vitest';
import type { Qemu, QemuOptions } from '../qemu/process.ts';
import { startQemu } from '../qemu/qemu.ts';

/** The name of the node, equal to that of vmferry's first node. */
export const NODE = 'disk0';

/** A QEMU with an IDE disk on that image. */
export function startQemuOn(image: string, options: QemuOptions = {}): Promise<Qemu> {
  return startQemu({ ...options, extraArguments: [...diskArguments(image), ...(options.extraArguments ?? [])] });
}

function diskArguments(image: string): string[] {
  const node = `driver=qcow2,node-name=${NODE},file.driver=file,file.filename=${image}`;
  return ['-blockdev', node, '-device', `ide-hd,drive=${NODE}`];
}

/** Runs snapshot-save, -load or -delete and waits until the job has concluded without an error. */
export async function qemuSnapshot(qemu: Qemu, verb: 'save' | 'load' | 'delete', tag: string): Promise<void> {
  const from = qemu.qmp.events.length;
  const job = `${verb}-${tag}`;
  const vmstate = verb === 'delete' ? {} : { vmstate: NODE };
  await qemu.qmp.execute(`snapshot-${verb}`, { 'job-id': job, tag, devices: [NODE], ...vmstate });
  const isOver = (data: Readonly<Record<string, unknown>>): boolean => data.id === job && data.status === 'concluded';
  await qemu.qmp.waitForEvent('JOB_STATUS_CHANGE', { from, matches: isOver });
  const jobs = (await qemu.qmp.execute('query-jobs')) as { id: string; error?: string }[];
  expect(jobs.find(({ id }) => id === job)).toMatchObject({ status: 'concluded' });
  expect(jobs.find(({ id }) => id === job)?.error).toBeUndefined();
  await qemu.qmp.execute('job-dismiss', { id: job });
}

/** Ends QEMU in order, so that its cached image data reaches the file. */
export async function quit(qemu: Qemu): Promise<void> {
  const ended = qemu.exited;
  // The monitor may close before the answer arrives.
  await Promise.race([qemu.qmp.execute('quit').catch(() => {}), ended]);
  await ended;
  await qemu.stop();
}
