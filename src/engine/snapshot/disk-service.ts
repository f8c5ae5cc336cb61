import { BlockError, type Image } from '../../block/image.ts';
import { type DiskAttachment, type DiskRequest, DiskSlot } from '../memory/disk-slot.ts';
import { VcpuControl } from '../memory/vcpu-control.ts';
import type { GuestDiskOrder, ToBlockThread } from './block-messages.ts';

/** Interval at which requests of guests are failed while no thread can serve them. */
const FAIL_MS = 100;

/**
 * The disks of the machines, for the main thread: it gives them to each block thread, and fails requests without one.
 */
export class DiskAttachments {
  readonly #attachments: { readonly node: string; readonly attachment: DiskAttachment }[] = [];
  #failing: NodeJS.Timeout | null = null;

  add(node: string, attachment: DiskAttachment): void {
    this.#attachments.push({ node, attachment });
  }

  /** The orders for a thread that replaces a dead one. The ports ended with the dead thread. */
  orders(): ToBlockThread[] {
    return this.#attachments.map(({ node, attachment: { slot, vcpuControl } }) => ({
      type: 'guest-disk',
      node,
      attachment: { port: null, slot, vcpuControl },
    }));
  }

  /** Fails every request until `stopFailing`, so that no guest waits for an answer. */
  failRequests(why: string): void {
    this.#failing ??= setInterval(() => this.#fail(why), FAIL_MS);
    this.#failing.unref();
    this.#fail(why);
  }

  /** Ends `failRequests`: a thread serves the disks again, or the service closes. */
  stopFailing(): void {
    if (this.#failing !== null) clearInterval(this.#failing);
    this.#failing = null;
  }

  #fail(why: string): void {
    for (const { attachment } of this.#attachments) {
      const slot = new DiskSlot(attachment.slot);
      if (slot.request() === null) continue;
      slot.fail(why);
      new VcpuControl(attachment.vcpuControl).addHold(0);
    }
  }
}

/** Interval at which the slot is polled without a port. */
const POLL_MS = 5;

/**
 * Serves the disk requests of a machine from the image of a node, one at a time. They wait while the node is inactive.
 */
export class DiskServer {
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
      const timer = setInterval(() => this.poll(), POLL_MS);
      this.#stop = () => clearInterval(timer);
    } else {
      port.on('message', () => this.poll());
      this.#stop = () => port.close();
    }
    // The guest may have made a request before this thread started.
    this.poll();
  }

  /** Serves the open request, and resolves when there is none. For a stopped guest. */
  async drain(): Promise<void> {
    await this.#serving;
    this.poll();
    await this.#serving;
  }

  /** Takes no further request, and resolves when the present one is answered. */
  async close(): Promise<void> {
    this.#stop();
    await this.#serving;
  }

  /** Serves the request in the slot, if there is one and the image is active. */
  poll(): void {
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
      // The space may become free again, for example after a failed save. The guest must not lose its write.
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
