import { randomFillSync } from 'node:crypto';
import { closeSync, existsSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { launchQemu, type Qemu, type QemuOptions } from '../../test/helpers/qemu/process.ts';
import { MEBIBYTE } from '../bench.ts';
import type { MigrationInfo } from './vmferry.ts';
import { type Run, runOf } from './vmferry-pair.ts';
import { warmMemory } from './warm.ts';

/** A PC has holes and ROMs below this address. */
const FILL_FROM_BYTES = MEBIBYTE;
const CHUNK_BYTES = 16 * MEBIBYTE;
const MIGRATION_MS_MAX = 60_000;

export type QemuJob = {
  readonly directory: string;
  readonly ramBytes: number;
  /** Content of RAM above the first MiB. */
  readonly fill: 'random' | 'zero';
};

/** Migrates between two QEMUs over TCP on loopback, with TCG, a guest that never ran, and no bandwidth limit. */
export async function migrateQemu(job: QemuJob): Promise<Run> {
  await using source = await startSource(job);
  await using target = await launchQemu({
    ...machineOf(job),
    incoming: 'tcp:127.0.0.1:0',
    extraArguments: backend(job, job.fill === 'random'),
  });
  const listening = (await target.qmp.query('query-migrate')) as MigrationInfo;
  const port = listening['socket-address']?.[0]?.port;
  await warmMemory(job.ramBytes);
  return await timed(source, `tcp:127.0.0.1:${port}`);
}

/** Migrates one QEMU to a file. */
export async function migrateQemuToFile(job: QemuJob): Promise<Run> {
  await using source = await startSource(job);
  const path = join(job.directory, 'qemu-stream.bin');
  try {
    await warmMemory(job.ramBytes);
    return await timed(source, `file:${path}`);
  } finally {
    rmSync(path, { force: true });
  }
}

async function startSource(job: QemuJob): Promise<Qemu> {
  return await launchQemu({ ...filledMachine(job), parameters: { 'max-bandwidth': 0 } });
}

/**
 * A stopped machine with filled RAM. The generic loader copies the file into RAM when the machine is reset, before a vCPU could
 * run. RAM is then QEMU's usual anonymous memory, and each page is as if the guest had written it.
 */
export function filledMachine(job: QemuJob): QemuOptions & { readonly extraArguments: readonly string[] } {
  const loader = (): string[] => {
    const file = randomFile(job.directory, job.ramBytes - FILL_FROM_BYTES);
    return ['-device', `loader,file=${file},addr=${FILL_FROM_BYTES},force-raw=on`];
  };
  const extraArguments = [...backend(job, false), ...(job.fill === 'random' ? loader() : [])];
  return { ...machineOf(job), paused: true, extraArguments };
}

/**
 * Anonymous memory with the same name on both sides. A target whose pages will all be written allocates its memory before the
 * migration, like vmferry with --ram-prealloc. So the comparison is of the migration and not of the host's page faults, which
 * vary tenfold between runs on a virtual machine.
 */
function backend({ ramBytes }: QemuJob, isPreallocated: boolean): string[] {
  const prealloc = isPreallocated ? ',prealloc=on' : '';
  return ['-object', `memory-backend-ram,id=bench,size=${ramBytes}${prealloc}`, '-machine', 'memory-backend=bench'];
}

function machineOf({ ramBytes }: QemuJob): { ramMebibytes: number } {
  return { ramMebibytes: ramBytes / MEBIBYTE };
}

async function timed(source: Qemu, uri: string): Promise<Run> {
  const from = performance.now();
  const { info } = await source.migrate(uri, MIGRATION_MS_MAX);
  const wallMs = performance.now() - from;
  return { ...runOf(info as MigrationInfo), wallMs };
}

/** Created once for each size; removed with the directory of the bench. */
function randomFile(directory: string, bytes: number): string {
  const path = join(directory, `random-${bytes}.bin`);
  if (existsSync(path)) return path;
  const file = openSync(path, 'w');
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let left = bytes; left > 0; left -= CHUNK_BYTES) {
    writeSync(file, randomFillSync(chunk), 0, Math.min(left, CHUNK_BYTES));
  }
  closeSync(file);
  return path;
}
