import { waitQuiet } from './process.ts';
import { type JsonObject, type MigrationInfo, Service } from './vmferry.ts';
import { warmMemory } from './warm.ts';

const MIGRATION_SECONDS_MAX = 60;

/** The result of one run of either side. */
export type Run = {
  /** total-time − setup-time as reported by the source, in milliseconds, at least 1. */
  readonly transferMs: number;
  /** Time from the command to the end of its output, in milliseconds. */
  readonly wallMs: number;
  readonly downtimeMs: number;
  readonly normalPages: number;
};

export type VmferryJob = {
  readonly directory: string;
  readonly ramBytes: number;
  /** The flag `--workload` of the source. */
  readonly workload: string;
  readonly parameters?: JsonObject;
  /** True if the target allocates all of its RAM before the migration. */
  readonly isPreallocated?: boolean;
  /** False if the guest is stopped, as in QEMU's runs. */
  readonly isRunning?: boolean;
};

/** Hooks for measurements while both services run. */
export type Watch = {
  /** Called when both are ready and nothing has been sent. The measured time starts when the promise has resolved. */
  before?(source: Service, target: Service): Promise<void> | void;
  after?(source: Service, target: Service, info: MigrationInfo): Promise<void> | void;
};

/** Migrates between two services over TCP on loopback. */
export async function migrateVmferry(job: VmferryJob, watch: Watch = {}): Promise<Run> {
  const ram = ['--ram', String(job.ramBytes)];
  const flags = [...ram, '--workload', job.workload, ...(job.isRunning === true ? [] : ['--paused'])];
  await using source = await Service.start(job.directory, flags);
  await using target = await Service.start(job.directory, [
    ...ram,
    ...(job.isPreallocated === true ? ['--ram-prealloc'] : []),
    '--incoming',
    'tcp:127.0.0.1:0',
  ]);
  const parameters = { 'max-bandwidth': 0, ...job.parameters };
  await source.call('/migrate/parameters', { method: 'PATCH', body: parameters });
  const uri = `tcp:127.0.0.1:${await target.incomingPort()}`;
  if (job.isRunning !== true) await waitQuiet(source.pid);
  await warmMemory(job.ramBytes);
  await watch.before?.(source, target);
  const run = await timed(source, uri);
  await watch.after?.(source, target, await source.migration());
  return run;
}

/** Migrates one service to a file below its file root. */
export async function migrateVmferryToFile(job: VmferryJob): Promise<Run> {
  const flags = ['--ram', String(job.ramBytes), '--workload', job.workload, '--paused'];
  await using source = await Service.start(job.directory, flags);
  await source.call('/migrate/parameters', { method: 'PATCH', body: { 'max-bandwidth': 0 } });
  await waitQuiet(source.pid);
  await warmMemory(job.ramBytes);
  return await timed(source, 'file:stream.bin');
}

async function timed(source: Service, uri: string): Promise<Run> {
  const from = performance.now();
  await source.call('/migrate', { body: { uri }, waitSeconds: MIGRATION_SECONDS_MAX });
  const wallMs = performance.now() - from;
  return { ...runOf(await source.migration()), wallMs };
}

/** @throws Error if the migration did not complete. */
export function runOf(info: MigrationInfo): Omit<Run, 'wallMs'> {
  if (info.status !== 'completed') {
    throw new Error(`the migration ended ${info.status}: ${info['error-desc'] ?? 'no error is given'}`);
  }
  return {
    transferMs: Math.max(1, (info['total-time'] ?? 0) - (info['setup-time'] ?? 0)),
    downtimeMs: info.downtime ?? 0,
    normalPages: info.ram?.normal ?? 0,
  };
}
