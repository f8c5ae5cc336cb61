import { type DiskAttachment, DiskSlot } from '../memory/disk-slot.ts';
import { VcpuControl } from '../memory/vcpu-control.ts';
import type { ToBlockThread } from './messages.ts';

/** How often requests of guests are looked for while there is no thread that could serve them. */
const LOOK_MS = 100;

/** The machines' disks as the main thread knows them: handed to each block thread, and answered while there is none. */
export class GuestDisks {
  readonly #attachments: { readonly node: string; readonly attachment: DiskAttachment }[] = [];
  #looking: NodeJS.Timeout | null = null;

  add(node: string, attachment: DiskAttachment): void {
    this.#attachments.push({ node, attachment });
  }

  /** What a thread has to be told that took the place of one that died: the ports died with that one. */
  orders(): ToBlockThread[] {
    return this.#attachments.map(({ node, attachment: { slot, vcpuControl } }) => ({
      type: 'guest-disk',
      node,
      attachment: { port: null, slot, vcpuControl },
    }));
  }

  /** Fails every request, so that no guest waits for ever. */
  failRequests(why: string): void {
    this.#looking ??= setInterval(() => this.#fail(why), LOOK_MS);
    this.#looking.unref();
    this.#fail(why);
  }

  /** A thread serves them again, or the service closes. */
  stopFailing(): void {
    if (this.#looking !== null) clearInterval(this.#looking);
    this.#looking = null;
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
