import type { GuestMemory, LoadedMachine, OpaqueSection } from '../../domain/ports.ts';
import type { IncomingPlan } from '../../domain/transfer-port.ts';
import { ByteReader, IncompleteError, StreamError } from '../stream/byte-reader.ts';
import { decodeCommand, type StreamCommand } from '../stream/command.ts';
import { type Configuration, decodeConfiguration, decodeHeader } from '../stream/configuration.ts';
import { ELEMENT, RAM_SECTION } from '../stream/constants.ts';
import { decodeGlobalState, GLOBAL_STATE_SECTION } from '../stream/global-state.ts';
import { decodeRamSetup } from '../stream/ram-setup.ts';
import { decodeFooter, decodeSectionHead, type SectionHead } from '../stream/section.ts';
import { decodeVmDescription } from '../stream/vm-description.ts';
import { findEarlyFooter } from './early-section.ts';
import { InputBuffer } from './input-buffer.ts';
import { KnownDevices } from './known-devices.ts';
import { OpaqueDeviceReader } from './opaque-devices.ts';
import { RamReceiver } from './ram-receiver.ts';
import { checkConfiguration, memoryFor } from './target-checks.ts';

/** Where in the stream the reader is; named in errors. */
export type TargetPhase =
  | 'header'
  | 'configuration'
  | 'elements'
  | 'ram'
  | 'ram-footer'
  | 'devices'
  | 'description'
  | 'done';

/**
 * Reads a migration stream as its bytes come in. One step takes one whole element, or a batch of page records; what
 * is not whole yet waits in the input buffer. Nothing takes effect but guest RAM, which is nobody's until the whole
 * stream has been read.
 */
export class TargetStream {
  readonly input = new InputBuffer();
  readonly #plan: IncomingPlan;
  readonly #onCommand: (command: StreamCommand) => void;
  phase: TargetPhase = 'header';
  /** Set once everything has come. */
  loaded: LoadedMachine | null = null;
  #configuration: Configuration | null = null;
  #memory: GuestMemory | null = null;
  #ram: RamReceiver | null = null;
  /** Id and kind of the ram section that is open, or was. */
  #ramHead: SectionHead | null = null;
  #ramEnded = false;
  #inEnd = false;
  #switchoverStart = false;
  readonly #early: OpaqueSection[] = [];
  readonly #known: KnownDevices | null;
  readonly #opaque: OpaqueDeviceReader | null;

  constructor(plan: IncomingPlan, onCommand: (command: StreamCommand) => void) {
    this.#plan = plan;
    this.#onCommand = onCommand;
    this.#known = plan.target.form === 'devices' ? new KnownDevices(plan.target.devices) : null;
    this.#opaque = plan.target.form === 'image' ? new OpaqueDeviceReader() : null;
  }

  get pages(): { readonly normal: number; readonly zero: number } {
    return { normal: this.#ram?.normalPages ?? 0, zero: this.#ram?.zeroPages ?? 0 };
  }

  get ramBytes(): number {
    return this.#memory?.blocks.reduce((sum, block) => sum + block.bytes, 0) ?? 0;
  }

  /** True when only a vmdescription, which a stream may lack, is missing. */
  get mayEndHere(): boolean {
    return this.phase === 'description' || this.#opaque?.hasEndMark === true;
  }

  /** How many sections of devices have come; grows with progress. */
  get progress(): number {
    return this.input.takenBytes + (this.#opaque?.sectionCount ?? 0);
  }

  /** Takes what there is. @throws StreamError if the stream is not what it should be. */
  advance(): void {
    while (this.phase !== 'done' && this.#step());
  }

  /** The sender has sent everything. @throws StreamError if that was too early. */
  end(): void {
    this.advance();
    if (this.loaded === null && this.mayEndHere && this.input.length === 0) {
      if (this.#opaque === null) this.#finishKnown();
      else this.#finishOpaque(this.#opaque, true);
    }
    if (this.loaded !== null) return;
    const at = this.input.takenBytes + this.input.length;
    throw new StreamError('stream_truncated', `the stream ends at byte ${at}, in its part '${this.phase}'`);
  }

  /** @returns false if more bytes are needed. */
  #step(): boolean {
    if (this.phase === 'ram') return this.#ramStep();
    if (this.#opaque !== null && this.#isOpaqueNext()) return this.#opaqueStep(this.#opaque);
    const reader = new ByteReader(this.input.view());
    try {
      const apply = this.#element(reader);
      this.input.take(reader.position);
      apply();
      return true;
    } catch (error) {
      if (error instanceof IncompleteError) return false;
      throw error;
    }
  }

  /** Behind RAM, all that follows in a stream of unknown devices goes to their reader: FULL sections and the end. */
  #isOpaqueNext(): boolean {
    if (this.phase === 'devices') return true;
    const type = this.input.view()[0];
    if (this.phase !== 'elements' || !this.#ramEnded) return false;
    if (type !== ELEMENT.sectionFull && type !== ELEMENT.eof) return false;
    this.phase = 'devices';
    return true;
  }

  /** Decodes the next element. @returns what it does, to be done once it is known to be whole. */
  #element(reader: ByteReader): () => void {
    switch (this.phase) {
      case 'header':
        decodeHeader(reader);
        return () => {
          this.phase = 'configuration';
        };
      case 'configuration': {
        const configuration = decodeConfiguration(reader);
        return () => {
          checkConfiguration(configuration, this.#plan);
          this.#configuration = configuration;
          this.phase = 'elements';
        };
      }
      case 'ram-footer':
        return this.#ramFooter(reader);
      case 'description':
        return this.#description(reader);
      default:
        return this.#typedElement(reader, reader.u8());
    }
  }

  #typedElement(reader: ByteReader, type: number): () => void {
    switch (type) {
      case ELEMENT.command: {
        const command = decodeCommand(reader);
        return () => {
          if (command.name === 'switchover-start') this.#switchoverStart = true;
          this.#onCommand(command);
        };
      }
      case ELEMENT.sectionStart:
        return this.#ramStart(decodeSectionHead(reader), reader);
      case ELEMENT.sectionPart:
      case ELEMENT.sectionEnd:
        return this.#ramContinues(type === ELEMENT.sectionEnd, reader.u32());
      case ELEMENT.sectionFull:
        return this.#full(reader);
      case ELEMENT.eof:
        if (!this.#ramEnded)
          throw this.#broken('section_order', 'the end mark comes before the end of the ram section');
        return () => {
          this.phase = 'description';
        };
      default:
        throw this.#broken('element_unexpected', `an element of the unknown type 0x${type.toString(16)} comes`);
    }
  }

  #ramStart(head: SectionHead, reader: ByteReader): () => void {
    if (head.idstr !== RAM_SECTION.idstr || head.instanceId !== RAM_SECTION.instanceId) {
      throw this.#broken(
        'section_unknown',
        `a live section '${head.idstr}', instance ${head.instanceId}, comes, which is not known here`,
      );
    }
    if (head.versionId !== RAM_SECTION.versionId) {
      throw this.#broken(
        'section_version',
        `section 'ram' has version ${head.versionId}; version ${RAM_SECTION.versionId} is read`,
      );
    }
    if (this.#ramHead !== null) throw this.#broken('section_duplicate', "section 'ram' starts twice");
    const blocks = decodeRamSetup(reader);
    decodeFooter(reader, head);
    return () => {
      this.#ramHead = head;
      this.#memory = memoryFor(blocks, this.#plan.target);
      this.#ram = new RamReceiver(this.#memory, this.input);
    };
  }

  #ramContinues(isEnd: boolean, sectionId: number): () => void {
    if (this.#ramHead === null || sectionId !== this.#ramHead.sectionId) {
      throw this.#broken('section_unknown', `a part of section ${sectionId} comes, which did not start`);
    }
    if (this.#ramEnded) throw this.#broken('section_order', "a part of section 'ram' comes after its end");
    return () => {
      this.#inEnd = isEnd;
      this.phase = 'ram';
    };
  }

  #ramStep(): boolean {
    if (this.#ram === null) throw new RangeError('there is no open ram section');
    if (!this.#ram.receive()) return false;
    this.phase = 'ram-footer';
    return true;
  }

  #ramFooter(reader: ByteReader): () => void {
    if (this.#ramHead === null) throw new RangeError('there is no open ram section');
    decodeFooter(reader, this.#ramHead);
    return () => {
      this.#ramEnded = this.#inEnd;
      this.phase = 'elements';
    };
  }

  #full(reader: ByteReader): () => void {
    const head = decodeSectionHead(reader);
    if (this.#known === null) return this.#earlyFull(head, reader);
    if (!this.#ramEnded)
      throw this.#broken('section_order', `section '${head.idstr}' comes before the end of the ram section`);
    const apply = this.#known.read(head, reader);
    decodeFooter(reader, head);
    return apply;
  }

  /** A device section before RAM is complete: kept as it is, up to its footer. */
  #earlyFull(head: SectionHead, reader: ByteReader): () => void {
    const length = findEarlyFooter(this.input.view(), reader.position, head.sectionId);
    if (length === null) throw new IncompleteError();
    const body = Buffer.from(reader.bytes(length));
    decodeFooter(reader, head);
    return () => {
      this.#early.push({ ...head, body });
    };
  }

  #opaqueStep(devices: OpaqueDeviceReader): boolean {
    if (this.input.length === 0) return false;
    devices.append(this.input.view());
    this.input.take(this.input.length);
    this.#finishOpaque(devices, false);
    return false;
  }

  #finishOpaque(devices: OpaqueDeviceReader, isAll: boolean): void {
    const found = devices.read(isAll);
    if (found === null) return;
    const globalState = found.sections.find((section) => section.idstr === GLOBAL_STATE_SECTION.idstr);
    this.#finish(globalState === undefined ? 'running' : decodeGlobalState(globalState.body), {
      form: 'image',
      machineName: this.#configuration?.machineName ?? '',
      memory: this.#memory ?? { segments: [], blocks: [] },
      image: {
        configurationTail: this.#configuration?.tail ?? new Uint8Array(),
        ramSectionId: this.#ramHead?.sectionId ?? 0,
        switchoverStart: this.#switchoverStart,
        earlySections: this.#early,
        ...found,
      },
    });
  }

  #description(reader: ByteReader): () => void {
    const type = reader.u8();
    if (type !== ELEMENT.vmDescription) {
      throw this.#broken('data_after_end', `the end mark is followed by byte 0x${type.toString(16)}`);
    }
    decodeVmDescription(reader);
    if (reader.left > 0) throw this.#broken('data_after_end', `${reader.left} bytes follow the vmdescription`);
    return () => this.#finishKnown();
  }

  #finishKnown(): void {
    if (this.#known === null) throw new RangeError('only a machine with known devices ends here');
    const { globalState, bodies } = this.#known.finish();
    this.#finish(globalState, { form: 'devices', bodies });
  }

  #finish(globalState: string, state: LoadedMachine['state']): void {
    this.loaded = { globalState, state };
    this.phase = 'done';
  }

  #broken(code: string, what: string): StreamError {
    return new StreamError(code, `${what} (at byte ${this.input.takenBytes})`);
  }
}
