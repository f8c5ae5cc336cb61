import type { OutgoingChannel } from '../../channels/channel.ts';
import { PAGE_BYTES, WORK_AREA } from '../../memory/layout.ts';
import type { TransferSource } from '../../memory/machine-state.ts';
import { pageFormatFor } from '../../pages/page-formats.ts';
import { RamSender } from '../../pages/ram-sender.ts';
import { Staging } from '../../pages/staging.ts';
import { MachineEncoder, type StreamPart } from '../../stream/machine-stream.ts';
import { DISK_STALL_MS } from '../block-worker.ts';
import type { TaskControl } from '../task-control.ts';
import { type PieceTable, StreamDigester } from './stream-pieces.ts';

/** RAM in one part of the ram section. Parts are not cut by time: the same RAM always has the same digests. */
const PART_BYTES = 16 * 2 ** 20;
/** Of writes, so that they fill whole clusters of an image and may go past the page cache. */
const WRITE_ALIGN_BYTES = 65536;

export type MachineToWrite = {
  readonly source: TransferSource;
  /** Text of globalstate. */
  readonly globalState: string;
  readonly detectsZeroPages: boolean;
};

/**
 * Writes a machine that stands still as a stream, from magic to vmdescription, every page once, as QEMU's `-loadvm`
 * reads it: no return path, no uuid. The work area of the machine's memory belongs to this object meanwhile.
 */
export class MachineWriter {
  readonly #control: TaskControl;
  readonly #staging: Staging;
  readonly #ram: RamSender;
  readonly #digester = new StreamDigester();
  readonly #encoder: MachineEncoder;

  constructor(machine: MachineToWrite, channel: OutgoingChannel, control: TaskControl) {
    this.#control = control;
    const { memory } = machine.source;
    const { waitPoint } = control;
    const place = { memory, area: WORK_AREA.block, stallMs: DISK_STALL_MS, alignBytes: WRITE_ALIGN_BYTES };
    this.#staging = new Staging({ channel, waitPoint, ...place });
    const format = pageFormatFor([]);
    this.#ram = new RamSender({ memory, staging: this.#staging, format, detectZero: machine.detectsZeroPages });
    this.#encoder = new MachineEncoder({ source: machine.source, uuid: null });
    this.#encoder.runState = machine.globalState;
  }

  /** Resolves when the channel has taken everything. @returns the pieces of the stream. */
  async write(): Promise<PieceTable> {
    this.#ram.queue.markAll();
    await this.#staging.open(0, 1);
    await this.#putThrough('ram-start');
    while (!this.#ram.queue.isPassEnded) await this.#part();
    this.#digester.leaveRam();
    await this.#putThrough('switchover-start');
    await this.#put(this.#encoder.openRam('end'));
    await this.#put(this.#encoder.closeRam());
    await this.#putThrough('description');
    await this.#staging.drain();
    return this.#digester.finish();
  }

  async #part(): Promise<void> {
    await this.#put(this.#encoder.openRam('part'));
    for (let left = PART_BYTES; left > 0; ) {
      const next = this.#ram.next;
      if (next === null) break;
      await this.#control.breathe();
      this.#digester.enterBlock(next.block, next.offset);
      const sent = await this.#ram.send(this.#digester.roomBytes);
      this.#digester.add(this.#staging.newest(sent.bytes));
      const bytes = (sent.normal + sent.zero) * PAGE_BYTES;
      this.#control.addCurrent(bytes);
      left -= bytes;
    }
    await this.#put(this.#encoder.closeRam());
  }

  async #putThrough(last: StreamPart): Promise<void> {
    for (const element of this.#encoder.through(last)) {
      this.#control.check();
      await this.#put(element);
    }
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#digester.add(bytes);
    await this.#staging.put(bytes);
  }
}
