// qcow2 images as QEMU's tools read them, to check the images that vmferry writes.

import { spawnSync } from 'node:child_process';
import { expect } from 'vitest';

const TOOL_MS_MAX = 60_000;

/** The counts of `qemu-img check`. */
export type ImageCheck = { readonly leaks: number; readonly corruptions: number; readonly checkErrors: number };

/** A row of `qemu-img snapshot -l`, as it is printed. */
export type ListedSnapshot = {
  readonly id: string;
  readonly tag: string;
  readonly vmSize: string;
  readonly date: string;
  readonly clock: string;
};

/** Runs qemu-img or qemu-io. @throws Error with its output if it fails. */
export function qemuTool(tool: 'qemu-img' | 'qemu-io', ...words: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(tool, words, { encoding: 'utf8', timeout: TOOL_MS_MAX });
  if (status !== 0) throw new Error(`${tool} ${words.join(' ')} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}

/** Makes an empty image. */
export function createImage(path: string, size = '64M'): string {
  qemuTool('qemu-img', 'create', '-q', '-f', 'qcow2', path, size);
  return path;
}

/** The result of QEMU's check of an image, even while a service has it open. */
export function checkImage(path: string): ImageCheck {
  const words = ['check', '-U', '--output=json', '-f', 'qcow2', path];
  const { status, stdout, stderr } = spawnSync('qemu-img', words, { encoding: 'utf8', timeout: TOOL_MS_MAX });
  // 2: corruption, 3: leaks; both come with the figures.
  if (![0, 2, 3].includes(status ?? -1)) throw new Error(`qemu-img check of ${path} ended with ${status}: ${stderr}`);
  const found = JSON.parse(stdout) as Record<string, number>;
  return { leaks: found.leaks ?? 0, corruptions: found.corruptions ?? 0, checkErrors: found['check-errors'] ?? 0 };
}

/** Expects no corruption and no leaked cluster. Nothing may write the image during the check. */
export function expectClean(...paths: readonly string[]): void {
  for (const path of paths) {
    expect(checkImage(path), path).toEqual({ leaks: 0, corruptions: 0, checkErrors: 0 });
  }
}

const LIST_ROW =
  /^(\d+) +(\S+) +([\d.]+ [KMGT]?i?B) +(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) +(\d+:\d\d:\d\d\.\d+) +(?:--|\d+)$/;

/** The output of `qemu-img snapshot -l`. */
export function listSnapshots(path: string): ListedSnapshot[] {
  const rows = qemuTool('qemu-img', 'snapshot', '-l', '-U', path).split('\n').slice(2);
  return rows
    .filter((row) => row.trim() !== '')
    .map((row) => {
      const [, id, tag, vmSize, date, clock] = LIST_ROW.exec(row.trim()) ?? [];
      if (clock === undefined) throw new Error(`not a row of a snapshot: ${row}`);
      return { id: id!, tag: tag!, vmSize: vmSize!, date: date!, clock };
    });
}

/** Tags of an image, in its order. */
export function tagsOf(path: string): string[] {
  return listSnapshots(path).map(({ tag }) => tag);
}
