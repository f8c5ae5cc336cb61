// QEMU's tools qemu-img and qemu-io, which check the content of an image. They run asynchronously, so that an open
// image can be used meanwhile.

import { execFile } from 'node:child_process';
import { closeSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';

const TOOL_MS_MAX = 60_000;
const OUTPUT_BYTES_MAX = 64 * 2 ** 20;
/** qemu-img check: 0 clean, 1 it could not be done, 2 corruptions, 3 leaks only. */
const CHECK_STATUS = { clean: 0, impossible: 1, corrupt: 2, leaks: 3 } as const;

export type ToolResult = { readonly status: number; readonly stdout: string; readonly stderr: string };

/** The counts of `qemu-img check`; corruptions are infinite if QEMU cannot check the image. */
export type Check = { readonly corruptions: number; readonly leaks: number; readonly checkErrors: number };

export type SnapshotRow = {
  readonly id: string;
  readonly name: string;
  readonly vmStateBytes: number;
  readonly clockNs: number;
};

/** Runs a tool to its end. @throws Error if it was killed by a signal or did not end in time. */
export function runTool(tool: 'qemu-img' | 'qemu-io', words: readonly string[]): Promise<ToolResult> {
  return new Promise((resolve, reject) => {
    const options = { timeout: TOOL_MS_MAX, killSignal: 'SIGKILL', maxBuffer: OUTPUT_BYTES_MAX } as const;
    execFile(tool, words, options, (error, stdout, stderr) => {
      const status = error === null ? 0 : error.code;
      if (typeof status === 'number') resolve({ status, stdout, stderr });
      else reject(new Error(`${tool} ${words.join(' ')} did not end by itself: ${error?.message}`, { cause: error }));
    });
  });
}

/** @returns standard output. @throws Error unless it ends with 0. */
export async function qemuImg(...words: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runTool('qemu-img', words);
  if (status !== 0) throw new Error(`qemu-img ${words.join(' ')} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}

export async function check(path: string): Promise<Check> {
  const { status, stdout, stderr } = await runTool('qemu-img', ['check', '-U', '--output=json', '-f', 'qcow2', path]);
  if (status === CHECK_STATUS.impossible) return { corruptions: Number.POSITIVE_INFINITY, leaks: 0, checkErrors: 1 };
  if (!Object.values<number>(CHECK_STATUS).includes(status)) {
    throw new Error(`qemu-img check of ${path} ended with ${status}: ${stderr}`);
  }
  const found = JSON.parse(stdout) as Record<string, number>;
  return { corruptions: found.corruptions ?? 0, leaks: found.leaks ?? 0, checkErrors: found['check-errors'] ?? 0 };
}

export const CLEAN: Check = { corruptions: 0, leaks: 0, checkErrors: 0 };

/** Commands of qemu-io, one process for all; discards are carried out. @throws Error if one of them fails. */
export async function qemuIo(path: string, commands: readonly string[]): Promise<string> {
  const words = ['-f', 'qcow2', '-d', 'unmap', ...commands.flatMap((command) => ['-c', command]), path];
  const { status, stdout, stderr } = await runTool('qemu-io', words);
  // Some failures of single commands are only printed.
  if (status === 0 && !/failed|error|invalid/i.test(stdout + stderr)) return stdout;
  throw new Error(`qemu-io ${words.join(' ')} ended with ${status}: ${stdout}${stderr}`);
}

/** Writes bytes at an offset of the guest's disk, through a file beside the image. */
export async function qemuWrite(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const source = `${path}.source`;
  writeFileSync(source, bytes);
  try {
    await qemuIo(path, [`write -q -s ${source} ${offset} ${bytes.length}`]);
  } finally {
    rmSync(source);
  }
}

export async function qemuDiscard(path: string, offset: number, bytes: number): Promise<void> {
  await qemuIo(path, [`discard -q ${offset} ${bytes}`]);
}

const SNAPSHOT_OPTION = { create: '-c', apply: '-a', delete: '-d' } as const;

export async function qemuSnapshot(path: string, action: keyof typeof SNAPSHOT_OPTION, name: string): Promise<void> {
  await qemuImg('snapshot', SNAPSHOT_OPTION[action], name, path);
}

/** The snapshot table as QEMU reads it. */
export async function snapshotRows(path: string): Promise<SnapshotRow[]> {
  const text = await qemuImg('info', '-U', '--output=json', '-f', 'qcow2', path);
  const rows = (JSON.parse(text) as { snapshots?: Record<string, unknown>[] }).snapshots ?? [];
  return rows.map((row) => ({
    id: String(row.id),
    name: String(row.name),
    vmStateBytes: Number(row['vm-state-size']),
    clockNs: Number(row['vm-clock-sec']) * 1e9 + Number(row['vm-clock-nsec']),
  }));
}

export type Stretch = { readonly offset: number; readonly bytes: number };

/** Stretches of the disk, one behind the other, as it is now or as a snapshot (by its id) holds it, as QEMU reads them. */
export async function qemuContent(path: string, stretches: readonly Stretch[], snapshotId?: string): Promise<Buffer> {
  const raw = `${path}.raw`;
  const which = snapshotId === undefined ? [] : ['-l', `snapshot.id=${snapshotId}`];
  try {
    await qemuImg('convert', '-U', '-f', 'qcow2', '-O', 'raw', ...which, path, raw);
    return readStretches(raw, stretches);
  } finally {
    rmSync(raw, { force: true });
  }
}

function readStretches(raw: string, stretches: readonly Stretch[]): Buffer {
  const file = openSync(raw, 'r');
  try {
    return Buffer.concat(
      stretches.map(({ offset, bytes }) => {
        const part = Buffer.alloc(bytes);
        readSync(file, part, 0, bytes, offset);
        return part;
      }),
    );
  } finally {
    closeSync(file);
  }
}
