import { setTimeout as sleep } from 'node:timers/promises';
import { BlockError, type Image } from '../../../block/image.ts';
import { type DiskRequest, DiskSlot } from '../../memory/disk-slot.ts';
import { VcpuControl } from '../../memory/vcpu-control.ts';
import type { GuestDiskOrder } from '../messages.ts';

/** Without a port the slot is looked at this often. */
const LOOK_MS = 5;
/**
 * What found no room on the host is tried again after this long, as the guest's own patience allows: a save that
 * failed there gives back what it had taken, and a guest must not lose a write to it.
 */
const NO_SPACE_RETRY_MS = 20;

/** Serves a machine's disk requests against a node's image, one at a time. */
export class GuestDisk {
  readonly #image: Image;
  readonly #slot: DiskSlot;
  readonly #control: VcpuControl;
  readonly #stop: () => void;
  #serving: Promise<void> | null = null;
  #isClosing = false;

  constructor({ port, slot, vcpuControl }: GuestDiskOrder, image: Image) {
    this.#image = image;
    this.#slot = new DiskSlot(slot);
    this.#control = new VcpuControl(vcpuControl);
    if (port === null) {
      const timer = setInterval(() => this.#look(), LOOK_MS);
      this.#stop = () => clearInterval(timer);
    } else {
      port.on('message', () => this.#look());
      this.#stop = () => port.close();
    }
    // A request may have been made before this thread was there.
    this.#look();
  }

  /** Takes no further request, and resolves when the one under way has been answered. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#stop();
    await this.#serving;
  }

  #look(): void {
    if (this.#serving !== null) return;
    const request = this.#slot.request();
    if (request === null) return;
    this.#serving = this.#serve(request).finally(() => {
      this.#serving = null;
    });
  }

  async #serve(request: DiskRequest): Promise<void> {
    try {
      await this.#workWhereThereIsRoom(request);
      this.#slot.complete();
    } catch (error) {
      this.#slot.fail(error instanceof Error ? error.message : String(error));
    }
    this.#control.addHold(0);
  }

  async #workWhereThereIsRoom(request: DiskRequest): Promise<void> {
    for (;;) {
      try {
        return await this.#work(request);
      } catch (error) {
        const isFull = error instanceof BlockError && error.code === 'no_space';
        if (!isFull || this.#isClosing) throw error;
        await sleep(NO_SPACE_RETRY_MS);
      }
    }
  }

  #work({ operation, offset, bytes }: DiskRequest): Promise<void> {
    const data = this.#slot.data.subarray(0, bytes);
    if (operation === 'read') return this.#image.read(offset, data);
    if (operation === 'write') return this.#image.write(offset, data);
    return this.#image.flush();
  }
}
