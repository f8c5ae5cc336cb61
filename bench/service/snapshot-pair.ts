import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { launchQemu, type Qemu } from '../../test/helpers/qemu/process.ts';
import { waitQuiet } from './process.ts';
import { filledMachine } from './qemu-pair.ts';
import { type JsonObject, Service } from './vmferry.ts';
import type { Run } from './vmferry-pair.ts';
import { warmMemory } from './warm.ts';

/** What is timed. A load is of a snapshot that was saved right before; a restore is one by a process started for it. */
export type SnapshotWork = 'save' | 'load' | 'restore';

export type SnapshotJob = { readonly directory: string; readonly ramBytes: number; readonly work: SnapshotWork };

const TAG = 'bench';
const NODE = 'disk0';
const PLACE = { vmstate: NODE, devices: [NODE] };
const DISK_BYTES = 2 ** 30;
const JOB_SECONDS_MAX = 60;
const PAGE_BYTES = 4096;
/** What is done beside a save has been done for so long when it begins. */
const BEFORE_MS = 1500;

/** Whether the save has yet to begin, runs, or has ended. */
export type Phase = 'before' | 'during' | 'over';
/** What else is done beside a save; begins a little before it, and ends soon once the phase is `over`. */
export type Beside = (service: Service, phase: () => Phase) => Promise<void>;

/** A paused guest of a service, saved into (and loaded from) the service's own disk. */
export async function snapshotVmferry({ directory, ramBytes, work }: SnapshotJob, beside?: Beside): Promise<Run> {
  const flags = ['--ram', String(ramBytes), '--paused'];
  await using service = await Service.start(directory, [...flags, '--workload', 'fill=random,rate=0']);
  await waitQuiet(service.pid);
  await warmMemory(ramBytes);
  // The asking process loads what it asks with, which would hold up its polls.
  await service.migration();
  let phase: Phase = 'before';
  const other = beside?.(service, () => phase);
  if (other !== undefined) await sleep(BEFORE_MS);
  phase = 'during';
  const saved = await timedJob(service, '/snapshots', { tag: TAG, ...PLACE });
  phase = 'over';
  await other;
  const normalPages = Number(saved.job.result?.['vm-state-size'] ?? 0) / PAGE_BYTES;
  if (work === 'save') return runOf(saved.wallMs, normalPages);
  const path = `/snapshots/${TAG}/load`;
  if (work === 'restore') {
    await using fresh = await Service.start(directory, [...flags, '--workload', 'rate=0'], await service.stop());
    await warmMemory(ramBytes);
    return runOf((await timedJob(fresh, path, PLACE)).wallMs, normalPages);
  }
  await warmMemory(ramBytes);
  return runOf((await timedJob(service, path, PLACE)).wallMs, normalPages);
}

type JobReply = { readonly status: string; readonly error?: string; readonly result?: JsonObject | null };

async function timedJob(service: Service, path: string, body: JsonObject): Promise<{ job: JobReply; wallMs: number }> {
  const from = performance.now();
  const job = (await service.call(path, { body, waitSeconds: JOB_SECONDS_MAX })) as JobReply;
  const wallMs = performance.now() - from;
  if (job.status !== 'concluded' || job.error !== undefined)
    throw new Error(`${path} ended so: ${JSON.stringify(job)}`);
  return { job, wallMs };
}

/** The same with a QEMU whose guest never ran, into a qcow2 image in the same folder. */
export async function snapshotQemu({ directory, ramBytes, work }: SnapshotJob): Promise<Run> {
  const image = join(directory, 'qemu-disk.qcow2');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', image, String(DISK_BYTES)]);
  try {
    const node = `driver=qcow2,node-name=${NODE},file.driver=file,file.filename=${image}`;
    const machine = filledMachine({ directory, ramBytes, fill: 'random' });
    const withDisk = (options: typeof machine) => ({
      ...options,
      extraArguments: [...options.extraArguments, '-blockdev', node],
    });
    await using qemu = await launchQemu(withDisk(machine));
    await warmMemory(ramBytes);
    const saveMs = await timedQemuJob(qemu, 'save');
    const normalPages = (await vmStateBytes(qemu)) / PAGE_BYTES;
    if (work === 'save') return runOf(saveMs, normalPages);
    if (work === 'restore') {
      await qemu.stop();
      await using fresh = await launchQemu(withDisk(filledMachine({ directory, ramBytes, fill: 'zero' })));
      await warmMemory(ramBytes);
      return runOf(await timedQemuJob(fresh, 'load'), normalPages);
    }
    await warmMemory(ramBytes);
    return runOf(await timedQemuJob(qemu, 'load'), normalPages);
  } finally {
    rmSync(image, { force: true });
  }
}

async function timedQemuJob(qemu: Qemu, work: 'save' | 'load'): Promise<number> {
  const from = qemu.qmp.events.length;
  const fromMs = performance.now();
  await qemu.qmp.execute(`snapshot-${work}`, { 'job-id': work, tag: TAG, ...PLACE });
  const isOver = (data: JsonObject): boolean => data.id === work && data.status === 'concluded';
  await qemu.qmp.waitForEvent('JOB_STATUS_CHANGE', { from, matches: isOver, timeoutMs: JOB_SECONDS_MAX * 1000 });
  const wallMs = performance.now() - fromMs;
  const jobs = (await qemu.qmp.execute('query-jobs')) as { id: string; error?: string }[];
  const error = jobs.find(({ id }) => id === work)?.error;
  if (error !== undefined) throw new Error(`QEMU's snapshot-${work} failed: ${error}`);
  await qemu.qmp.execute('job-dismiss', { id: work });
  return wallMs;
}

async function vmStateBytes(qemu: Qemu): Promise<number> {
  const nodes = (await qemu.qmp.execute('query-named-block-nodes')) as {
    'node-name': string;
    image: { snapshots?: { name: string; 'vm-state-size': number }[] };
  }[];
  const node = nodes.find((candidate) => candidate['node-name'] === NODE);
  return node?.image.snapshots?.find(({ name }) => name === TAG)?.['vm-state-size'] ?? 0;
}

function runOf(wallMs: number, normalPages: number): Run {
  return { transferMs: Math.max(1, Math.round(wallMs)), wallMs, downtimeMs: 0, normalPages };
}
