import type { OutgoingChannel } from '../../channels/channel.ts';
import { PAGE_BYTES } from '../../memory/layout.ts';
import type { OpaqueSection, TransferSource } from '../../memory/machine-state.ts';
import { RamSender } from '../../pages/ram-sender.ts';
import { Staging } from '../../pages/staging.ts';
import { ByteWriter } from '../../stream/byte-writer.ts';
import { encodeCommand } from '../../stream/command.ts';
import { encodeConfiguration, encodeHeader } from '../../stream/configuration.ts';
import { ELEMENT, RAM_FLAG, RAM_SECTION } from '../../stream/constants.ts';
import { encodeGlobalState, GLOBAL_STATE_SECTION } from '../../stream/global-state.ts';
import { encodeRamSetup } from '../../stream/ram-setup.ts';
import { encodeFooter, encodeSectionHead, encodeSectionPart } from '../../stream/section.ts';
import { encodeVmDescription, encodeVmDescriptionText } from '../../stream/vm-description.ts';
import { DISK_STALL_MS } from '../disk-stall.ts';
import type { PieceTable } from './piece-table.ts';
import { StreamDigester } from './stream-digester.ts';
import type { TaskControl } from './task-control.ts';

/** RAM in one part of the ram section. Parts are not cut by time: the same RAM always has the same digests. */
const PART_BYTES = 16 * 2 ** 20;
const DEFAULT_RAM_SECTION_ID = 2;
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
  readonly #machine: MachineToWrite;
  readonly #control: TaskControl;
  readonly #staging: Staging;
  readonly #ram: RamSender;
  readonly #digester = new StreamDigester();
  readonly #sectionId: number;

  constructor(machine: MachineToWrite, channel: OutgoingChannel, control: TaskControl) {
    this.#machine = machine;
    this.#control = control;
    const { memory, state } = machine.source;
    const { waitPoint } = control;
    this.#staging = new Staging({ channel, waitPoint, memory, stallMs: DISK_STALL_MS, alignBytes: WRITE_ALIGN_BYTES });
    this.#ram = new RamSender({ memory, staging: this.#staging, detectZero: machine.detectsZeroPages });
    this.#sectionId = state.form === 'image' ? state.image.ramSectionId : DEFAULT_RAM_SECTION_ID;
  }

  /** Resolves when the channel has taken everything. @returns the pieces of the stream. */
  async write(): Promise<PieceTable> {
    const { state } = this.#machine.source;
    await this.#setUp();
    while (!this.#ram.isWalked) await this.#part();
    this.#digester.leaveRam();
    const hasStart = state.form === 'devices' || state.image.switchoverStart;
    if (hasStart) await this.#put(encodeCommand({ name: 'switchover-start' }));
    await this.#put(encodeSectionPart('end', this.#sectionId));
    await this.#endSection();
    if (state.form === 'devices') await this.#putDevices();
    else await this.#putSections(state.image.sections);
    await this.#put(new Uint8Array([ELEMENT.eof]));
    const description = this.#vmDescription();
    if (description !== null) await this.#put(description);
    await this.#staging.drain();
    return this.#digester.finish();
  }

  async #setUp(): Promise<void> {
    const { machineName, memory, state } = this.#machine.source;
    this.#ram.markAll();
    await this.#staging.open(0, 1);
    await this.#put(encodeHeader());
    await this.#put(
      encodeConfiguration(machineName, state.form === 'image' ? state.image.configurationTail : new Uint8Array()),
    );
    if (state.form === 'image') await this.#putSections(state.image.earlySections);
    await this.#put(encodeSectionHead('start', { sectionId: this.#sectionId, ...RAM_SECTION }));
    await this.#put(encodeRamSetup(memory.blocks));
    await this.#put(encodeFooter(this.#sectionId));
  }

  async #part(): Promise<void> {
    await this.#put(encodeSectionPart('part', this.#sectionId));
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
    await this.#endSection();
  }

  async #endSection(): Promise<void> {
    await this.#put(new ByteWriter().u64(RAM_FLAG.eos).finish());
    await this.#put(encodeFooter(this.#sectionId));
  }

  async #putDevices(): Promise<void> {
    const { source, globalState } = this.#machine;
    if (source.state.form !== 'devices') return;
    const last = { ...GLOBAL_STATE_SECTION, body: encodeGlobalState(globalState) };
    await this.#putSections(
      [...source.state.devices, last].map((device, index) => ({ ...device, sectionId: this.#sectionId + 1 + index })),
    );
  }

  async #putSections(sections: readonly OpaqueSection[]): Promise<void> {
    for (const section of sections) {
      this.#control.check();
      await this.#put(encodeSectionHead('full', section));
      await this.#put(section.body);
      await this.#put(encodeFooter(section.sectionId));
    }
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#digester.add(bytes);
    await this.#staging.put(bytes);
  }

  #vmDescription(): Uint8Array | null {
    const { machineName, state } = this.#machine.source;
    if (state.form === 'devices') return encodeVmDescription(machineName, state.devices);
    return state.image.vmDescription === null ? null : encodeVmDescriptionText(state.image.vmDescription);
  }
}
