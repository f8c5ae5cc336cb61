import type { TransferDevice } from '../../engine/memory/machine-state.ts';
import { CONSOLE_FIELDS } from './console-ring.ts';
import { createDevice, DeviceBody } from './device-body.ts';
import { DISK_FIELDS, readDiskRegisters } from './disk-registers.ts';
import type { GuestMap } from './guest-map.ts';
import { assertTimer, TIMER_FIELDS } from './guest-timer.ts';
import { readPanicBody } from './panic-record.ts';
import { readRegisters, VCPU_FIELDS } from './registers.ts';
import { readWorkload, WORKLOAD_FIELDS } from './workload.ts';

/** The synthetic guest's devices. Each body is shared memory: the same bytes in every thread that has them. */
export type GuestDevices = {
  readonly workload: TransferDevice;
  readonly timer: TransferDevice;
  readonly console: TransferDevice;
  readonly disk: TransferDevice;
  readonly panic: TransferDevice;
  readonly vcpus: readonly TransferDevice[];
};

export function createGuestDevices(vcpus: number, panic: TransferDevice): GuestDevices {
  return {
    workload: createDevice('ferry-workload', 0, WORKLOAD_FIELDS),
    timer: createDevice('ferry-timer', 0, TIMER_FIELDS),
    console: createDevice('ferry-console', 0, CONSOLE_FIELDS),
    disk: createDevice('ferry-disk', 0, DISK_FIELDS),
    panic,
    vcpus: Array.from({ length: vcpus }, (_, index) => createDevice('ferry-vcpu', index, VCPU_FIELDS)),
  };
}

/** All devices in the order in which they travel. */
export function deviceList(devices: GuestDevices): readonly TransferDevice[] {
  const { workload, timer, console, disk, panic, vcpus } = devices;
  return [workload, timer, console, disk, panic, ...vcpus];
}

export function bodyOf(device: TransferDevice): DeviceBody {
  return new DeviceBody(device, device.body);
}

/**
 * Looks through bodies that came from outside, in the order of `deviceList`, before anything of them takes effect.
 * @throws RangeError that names the device and the field which no guest of this shape could have.
 */
export function assertBodies(
  devices: GuestDevices,
  bodies: readonly Uint8Array[],
  map: GuestMap,
  ramBytes: number,
): void {
  const list = deviceList(devices);
  if (bodies.length !== list.length) {
    throw new RangeError(`${bodies.length} devices were loaded for a guest that has ${list.length}`);
  }
  const [workload, timer, console, disk, panic, ...vcpus] = list.map((device, index) => {
    return new DeviceBody(device, bodies[index] ?? new Uint8Array());
  });
  if (!workload || !timer || !console || !disk || !panic) throw new RangeError('a device is missing');
  readWorkload(workload, ramBytes);
  assertTimer(timer);
  console.read('written');
  readDiskRegisters(disk);
  readPanicBody(panic.bytes);
  vcpus.forEach((body, index) => {
    readRegisters(body, map.ownedPages(index));
  });
}
