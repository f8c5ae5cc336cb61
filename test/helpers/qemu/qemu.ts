// The real QEMU for tests: started for one test or several, and stopped after it.

import { describeNeeding } from '../needs.ts';
import { whenOver } from '../shared.ts';
import { qemu72Binary, qemuBinary } from './binaries.ts';
import { GUEST_SETTINGS_DEFAULT } from './guest.ts';
import { launchQemu, type Qemu, type QemuOptions } from './process.ts';

export { qemu72Binary, qemuBinary } from './binaries.ts';
export type { MigrationResult, Qemu, QemuOptions } from './process.ts';

/**
 * A machine whose guest comes round its ring in a third of a second, for the many tests that wait for whole laps of it.
 * The ring of 4 MiB begins at 1 MiB.
 */
export const SMALL_GUEST = { ramMebibytes: 8, guest: { ringPages: 1024 } } as const satisfies QemuOptions;
/** Ticks of a lap of its ring, after which every page that it touches has been checked. */
export const SMALL_GUEST_LAP_TICKS = SMALL_GUEST.guest.ringPages / GUEST_SETTINGS_DEFAULT.pagesPerTick;

/** Starts a QEMU that ends with the running test, or with those that share it. */
export async function startQemu(options: QemuOptions = {}): Promise<Qemu> {
  const qemu = await launchQemu(options);
  whenOver(() => qemu.stop());
  return qemu;
}

/** A describe that needs QEMU 10: skipped with a notice where there is none, an error in CI. */
export function describeWithQemu(name: string, body: (binary: string) => void): void {
  describeWithBinary({ name, what: 'QEMU 10', variable: 'VMFERRY_TEST_QEMU', binary: qemuBinary() }, body);
}

/** A describe that needs QEMU 7.2: skipped with a notice where there is none, in CI too, which installs only 10.0. */
export function describeWithQemu72(name: string, body: (binary: string) => void): void {
  // Its peer is a QEMU 10.
  const binary = qemuBinary() === null ? null : qemu72Binary();
  const need = { name, what: 'QEMU 7.2', variable: 'VMFERRY_TEST_QEMU72', binary, optional: true };
  describeWithBinary(need, body);
}

type BinaryNeed = { name: string; what: string; variable: string; binary: string | null; optional?: boolean };

function describeWithBinary({ binary, ...need }: BinaryNeed, body: (binary: string) => void): void {
  const missing = binary === null ? `${need.what} is missing (set ${need.variable})` : null;
  describeNeeding({ ...need, missing }, () => body(binary ?? ''));
}
