import { type DiskRequest, DiskSlot } from '../../src/engine/memory/disk-slot.ts';
import { VcpuControl } from '../../src/engine/memory/vcpu-control.ts';
import { DISK_BLOCK_BYTES } from '../../src/machine/synthetic/disk-block.ts';
import type { SyntheticMachine } from '../../src/machine/synthetic/synthetic-machine.ts';
import { whenOver } from './shared.ts';

/** The result of a request: served, left without an answer, refused for lack of space, or failed with a text. */
export type DiskConduct = (request: DiskRequest) => 'serve' | 'ignore' | 'refuse' | { readonly fail: string };

/** A guest's disk in memory, served in this process one request after the other. */
export class TestDisk {
  bytes: Buffer<ArrayBuffer>;
  readonly requests: DiskRequest[] = [];
  conduct: DiskConduct = () => 'serve';
  #serve: () => void = () => {};

  constructor(bytes: Buffer<ArrayBuffer> = Buffer.alloc(2 * 2 ** 20)) {
    this.bytes = bytes;
  }

  /** Serves the machine's disk until the test ends, or the tests that share it; a disk may be moved from one machine to another. */
  attach(machine: SyntheticMachine): this {
    const attachment = machine.diskAttachment();
    if (attachment === null) throw new Error('this machine has no disk');
    const [slot, control] = [new DiskSlot(attachment.slot), new VcpuControl(attachment.vcpuControl)];
    this.#serve = () => {
      const request = slot.request();
      if (request === null) return;
      this.requests.push(request);
      const conduct = this.conduct(request);
      if (conduct === 'ignore') return;
      if (conduct === 'serve') this.#work(request, slot.data);
      if (conduct === 'serve') slot.complete();
      else if (conduct === 'refuse') slot.refuse();
      else slot.fail(conduct.fail);
      control.addHold(0);
    };
    attachment.port.on('message', this.#serve);
    whenOver(() => attachment.port.close());
    this.#serve();
    return this;
  }

  /** Serves requests again, including those without an answer so far. */
  recover(): void {
    this.conduct = () => 'serve';
    this.#serve();
  }

  block(block: number): Buffer {
    return this.bytes.subarray(block * DISK_BLOCK_BYTES, (block + 1) * DISK_BLOCK_BYTES);
  }

  copy(): Buffer<ArrayBuffer> {
    return Buffer.from(this.bytes);
  }

  get writes(): number {
    return this.requests.filter(({ operation }) => operation === 'write').length;
  }

  #work({ operation, offset, bytes }: DiskRequest, data: Uint8Array): void {
    const place = this.bytes.subarray(offset, offset + bytes);
    if (place.length !== bytes && operation !== 'flush') throw new RangeError(`a request behind the disk at ${offset}`);
    if (operation === 'read') data.set(place);
    if (operation === 'write') place.set(data.subarray(0, bytes));
  }
}
