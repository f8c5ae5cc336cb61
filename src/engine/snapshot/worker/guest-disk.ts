import { BlockError, type Image } from '../../../block/image.ts';
import { type DiskRequest, DiskSlot } from '../../memory/disk-slot.ts';
import { VcpuControl } from '../../memory/vcpu-control.ts';
import type { GuestDiskOrder } from '../messages.ts';

/** Without a port the slot is looked at this often. */
const LOOK_MS = 5;

/** Serves a machine's disk requests against a node's image, one at a time; while that is inactive they wait. */
export class GuestDisk {
  readonly #image: () => Image | null;
  readonly #slot: DiskSlot;
  readonly #control: VcpuControl;
  readonly #stop: () => void;
  #serving: Promise<void> | null = null;

  /** @param image the node's image; null while it is inactive. */
  constructor({ port, slot, vcpuControl }: GuestDiskOrder, image: () => Image | null) {
    this.#image = image;
    this.#slot = new DiskSlot(slot);
    this.#control = new VcpuControl(vcpuControl);
    if (port === null) {
      const timer = setInterval(() => this.look(), LOOK_MS);
      this.#stop = () => clearInterval(timer);
    } else {
      port.on('message', () => this.look());
      this.#stop = () => port.close();
    }
    // A request may have been made before this thread was there.
    this.look();
  }

  /** Serves what the guest asked for, and resolves when nothing is asked for any more. For a guest that stands still. */
  async drain(): Promise<void> {
    await this.#serving;
    this.look();
    await this.#serving;
  }

  /** Takes no further request, and resolves when the one under way has been answered. */
  async close(): Promise<void> {
    this.#stop();
    await this.#serving;
  }

  /** Looks for a request, such as after the image has become active. */
  look(): void {
    const image = this.#image();
    if (this.#serving !== null || image === null) return;
    const request = this.#slot.request();
    if (request === null) return;
    this.#serving = this.#serve(request, image).finally(() => {
      this.#serving = null;
    });
  }

  async #serve(request: DiskRequest, image: Image): Promise<void> {
    try {
      await this.#work(request, image);
      this.#slot.complete();
    } catch (error) {
      // A save that fails there gives back what it had taken, and a guest must not lose a write to it.
      if (error instanceof BlockError && error.code === 'no_space') this.#slot.refuse();
      else this.#slot.fail(error instanceof Error ? error.message : String(error));
    }
    this.#control.addHold(0);
  }

  #work({ operation, offset, bytes }: DiskRequest, image: Image): Promise<void> {
    const data = this.#slot.data.subarray(0, bytes);
    if (operation === 'read') return image.read(offset, data);
    if (operation === 'write') return image.write(offset, data);
    return image.flush();
  }
}
