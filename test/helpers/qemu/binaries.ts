// Finds the installed QEMUs.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const NAME = 'qemu-system-x86_64';
const QEMU72_INSTALLED = `/opt/qemu-7.2/usr/bin/${NAME}`;
/** A script that starts the unpacked QEMU with the libraries that were unpacked with it; docs/testing.md says how. */
const QEMU11_INSTALLED = `/opt/qemu-11.1/bin/${NAME}`;
const SEABIOS_DIRECTORY = '/usr/share/seabios';
const VERSION_TIMEOUT_MS = 10_000;

const majorVersions = new Map<string, number>();

/** QEMU 10.0 or newer: VMFERRY_TEST_QEMU, or the one on the PATH; null when there is none. */
export function qemuBinary(): string | null {
  const chosen = process.env.VMFERRY_TEST_QEMU;
  if (chosen !== undefined && chosen !== '') return existsSync(chosen) ? chosen : null;
  const directories = (process.env.PATH ?? '').split(delimiter).filter((directory) => directory !== '');
  const candidates = directories.map((directory) => join(directory, NAME));
  return candidates.find((path) => existsSync(path) && qemuMajorVersion(path) >= 10) ?? null;
}

/** QEMU 7.2: VMFERRY_TEST_QEMU72, or the unpacked one; null when there is none. */
export function qemu72Binary(): string | null {
  const chosen = process.env.VMFERRY_TEST_QEMU72;
  if (chosen !== undefined && chosen !== '') return existsSync(chosen) ? chosen : null;
  return existsSync(QEMU72_INSTALLED) && qemuMajorVersion(QEMU72_INSTALLED) === 7 ? QEMU72_INSTALLED : null;
}

/** QEMU 11.1: VMFERRY_TEST_QEMU11, or the unpacked one; null when there is none. */
export function qemu11Binary(): string | null {
  const chosen = process.env.VMFERRY_TEST_QEMU11;
  if (chosen !== undefined && chosen !== '') return existsSync(chosen) ? chosen : null;
  return existsSync(QEMU11_INSTALLED) && qemuMajorVersion(QEMU11_INSTALLED) === 11 ? QEMU11_INSTALLED : null;
}

/** 0 when the binary does not start. */
export function qemuMajorVersion(binary: string): number {
  const known = majorVersions.get(binary);
  if (known !== undefined) return known;
  const { stdout } = spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: VERSION_TIMEOUT_MS });
  const major = Number(/version (\d+)\./.exec(stdout ?? '')?.[1] ?? 0);
  majorVersions.set(binary, major);
  return major;
}

/** The newest machine type that both this binary and its namesakes elsewhere have. */
export function defaultMachine(binary: string): string {
  return qemuMajorVersion(binary) >= 10 ? 'pc-i440fx-10.0' : 'pc-i440fx-7.2';
}

/** `-L` arguments of a QEMU that was unpacked somewhere else than it was built for. */
export function firmwareArguments(binary: string): string[] {
  const beside = join(dirname(dirname(binary)), 'share', 'qemu');
  if (dirname(binary) === '/usr/bin' || !existsSync(beside)) return [];
  return [beside, SEABIOS_DIRECTORY].filter((directory) => existsSync(directory)).flatMap((path) => ['-L', path]);
}
