import type { GuestPanic } from '../../src/domain/ports/hypervisor.ts';
import type { SyntheticMachine } from '../../src/machine/synthetic/synthetic-machine.ts';
import { TestDisk } from '../helpers/guest-disk.ts';
import {
  type GuestOptions,
  type GuestSnapshot,
  nextPanic,
  restore,
  startGuest,
  takeSnapshot,
  until,
} from './guest-bench.ts';

/** A guest, its disk, and the state of both at one moment. */
export type DiskGuest = { readonly machine: SyntheticMachine; readonly disk: TestDisk };
export type DiskSnapshot = GuestSnapshot & { readonly disk: Buffer<ArrayBuffer> };

/** A running guest with `disk` and a low write rate. */
export function startDiskGuest(disk = new TestDisk(), options: GuestOptions = {}): DiskGuest {
  const machine = startGuest({
    disk: { bytes: disk.bytes.length },
    ...options,
    workload: { rate: 2 ** 20, ...options.workload },
  });
  disk.attach(machine);
  return { machine, disk };
}

/** Writes and checks of the guest's disk. */
export function figuresOf(machine: SyntheticMachine): NonNullable<GuestDiskFigures> {
  const disk = machine.describe().guest?.disk;
  if (!disk) throw new Error('this guest has no disk');
  return disk;
}

type GuestDiskFigures = NonNullable<ReturnType<SyntheticMachine['describe']>['guest']>['disk'];

/** Waits until the guest has checked its disk and made `writes` more writes; fails if it has panicked. */
export async function untilDiskWritten(machine: SyntheticMachine, writes: number): Promise<void> {
  const from = figuresOf(machine).writes;
  await until(() => {
    const panic = machine.describe().guest?.panic ?? null;
    if (panic !== null) throw new Error(panic.detail);
    const { isChecked, writes: made } = figuresOf(machine);
    return isChecked && made >= from + writes;
  });
}

/** Stops the guest and stores its complete state. */
export async function takeAll({ machine, disk }: DiskGuest): Promise<DiskSnapshot> {
  await machine.hold('snapshot');
  return { ...takeSnapshot(machine), disk: disk.copy() };
}

/** Restores the guest and its disk; `part` replaces a part of the state. */
export async function restoreAll({ machine, disk }: DiskGuest, snapshot: DiskSnapshot): Promise<void> {
  await machine.hold('snapshot');
  disk.bytes = Buffer.from(snapshot.disk);
  await restore(machine, snapshot);
}

/** The fault that the guest detects after `snapshot` was loaded. */
export async function findingAfter(guest: DiskGuest, snapshot: DiskSnapshot): Promise<GuestPanic> {
  const panic = nextPanic(guest.machine);
  await restoreAll(guest, snapshot);
  return panic;
}

/** Waits until the guest has checked all of its disk. */
export async function untilDiskChecked(machine: SyntheticMachine): Promise<void> {
  await until(() => figuresOf(machine).isChecked);
}
