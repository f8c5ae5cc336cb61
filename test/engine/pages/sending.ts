import { WORK_AREA } from '../../../src/engine/memory/layout.ts';
import type { GuestMemory } from '../../../src/engine/memory/machine-state.ts';
import type { PageFormat } from '../../../src/engine/pages/page-format.ts';
import { RamSender } from '../../../src/engine/pages/ram-sender.ts';
import { Staging } from '../../../src/engine/pages/staging.ts';
import { WaitPoint } from '../../../src/engine/session/wait-point.ts';

export const PAGE = 4096;

/** The sender of a machine's pages, over a channel that takes everything at once. */
export class Sending {
  readonly staging: Staging;
  readonly ram: RamSender;
  readonly #chunks: Buffer[] = [];

  constructor(memory: GuestMemory, format: PageFormat) {
    const channel = {
      hasReverse: false,
      write: (bytes: Uint8Array, done: () => void) => {
        this.#chunks.push(Buffer.from(bytes));
        done();
      },
      onReverse: () => {},
      onFailure: () => {},
      finish: () => Promise.resolve(),
      destroy: () => {},
    };
    this.staging = new Staging({
      area: WORK_AREA.transfer,
      channel,
      waitPoint: new WaitPoint(() => false),
      memory,
      stallMs: 10_000,
    });
    this.ram = new RamSender({ memory, staging: this.staging, format, detectZero: true });
    this.ram.queue.markAll();
  }

  /** Everything that was sent. */
  sent(): Buffer {
    this.staging.send();
    return Buffer.concat(this.#chunks);
  }
}
