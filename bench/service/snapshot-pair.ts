import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { launchQemu, type Qemu } from '../../test/helpers/qemu/process.ts';
import { waitQuiet } from './process.ts';
import { filledMachine } from './qemu-pair.ts';
import { type JsonObject, Service } from './vmferry.ts';
import type { Run } from './vmferry-pair.ts';
import { warmMemory } from './warm.ts';

/** The measured work. `load` loads a snapshot that was just saved; `restore` loads it with a process started for it. */
export type SnapshotWork = 'save' | 'load' | 'restore';

export type SnapshotJob = { readonly directory: string; readonly ramBytes: number; readonly work: SnapshotWork };

const TAG = 'bench';
const NODE = 'disk0';
const PLACE = { vmstate: NODE, devices: [NODE] };
const DISK_BYTES = 2 ** 30;
const JOB_SECONDS_MAX = 60;
const PAGE_BYTES = 4096;
/** Factor of the memory that is touched before a load: a load does not always get the memory that was freed last. */
const LOAD_WARM_FACTOR = 2;
/** A service with a stopped guest, whose RAM has random content, and with a disk of its own. */
export async function startFilled(directory: string, ramBytes: number): Promise<Service> {
  const flags = [...flagsFor(ramBytes), '--workload', 'fill=random,rate=0'];
  const service = await Service.start(directory, flags);
  await waitQuiet(service.pid);
  return service;
}

/** Saves the guest as a snapshot. */
export function save(service: Service, tag: string): Promise<TimedJob> {
  return timedJob(service, '/snapshots', { tag, ...PLACE });
}

/** Deletes the snapshot. */
export async function remove(service: Service, tag: string): Promise<void> {
  const path = `/snapshots/${tag}`;
  refuseFailed(path, await service.call(path, { method: 'DELETE', waitSeconds: JOB_SECONDS_MAX }));
}

/** Saves the guest of such a service to its disk, or loads it. */
export async function snapshotVmferry({ directory, ramBytes, work }: SnapshotJob): Promise<Run> {
  await using service = await startFilled(directory, ramBytes);
  await warmMemory(ramBytes);
  const saved = await save(service, TAG);
  const normalPages = Number(saved.job.result?.['vm-state-size'] ?? 0) / PAGE_BYTES;
  if (work === 'save') return runOf(saved.wallMs, normalPages);
  const path = `/snapshots/${TAG}/load`;
  if (work === 'restore') {
    const flags = [...flagsFor(ramBytes), '--workload', 'rate=0'];
    await using fresh = await Service.start(directory, flags, await service.stop());
    await warmMemory(ramBytes * LOAD_WARM_FACTOR);
    return runOf((await timedJob(fresh, path, PLACE)).wallMs, normalPages);
  }
  await warmMemory(ramBytes * LOAD_WARM_FACTOR);
  return runOf((await timedJob(service, path, PLACE)).wallMs, normalPages);
}

function flagsFor(ramBytes: number): string[] {
  return ['--ram', String(ramBytes), '--paused'];
}

type JobReply = { readonly status: string; readonly error?: string; readonly result?: JsonObject | null };

type TimedJob = { readonly job: JobReply; readonly wallMs: number };

async function timedJob(service: Service, path: string, body: JsonObject): Promise<TimedJob> {
  const from = performance.now();
  const reply = await service.call(path, { body, waitSeconds: JOB_SECONDS_MAX });
  const wallMs = performance.now() - from;
  return { job: refuseFailed(path, reply), wallMs };
}

function refuseFailed(path: string, reply: unknown): JobReply {
  const job = reply as JobReply;
  if (job.status === 'concluded' && job.error === undefined) return job;
  throw new Error(`${path} ended with ${JSON.stringify(job)}`);
}

/** The same work with a QEMU whose guest never ran, and with a qcow2 image in the same directory. */
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
      await warmMemory(ramBytes * LOAD_WARM_FACTOR);
      return runOf(await timedQemuJob(fresh, 'load'), normalPages);
    }
    await warmMemory(ramBytes * LOAD_WARM_FACTOR);
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
