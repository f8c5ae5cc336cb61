import type { GuestMemory, LoadedMachine } from '../memory/machine-state.ts';
import type { InputBuffer, StreamInput } from '../pages/input-buffer.ts';
import { pageFormatFor } from '../pages/page-formats.ts';
import { RamSection } from '../pages/ram-section.ts';
import type { IncomingPlan } from '../transfer-engine.ts';
import { ByteReader, IncompleteError, StreamError } from './bytes.ts';
import { type Configuration, decodeConfiguration, decodeHeader } from './configuration.ts';
import { ELEMENT, KNOWN_DESCRIPTION_BYTES_MAX } from './constants.ts';
import { decodeGlobalState, GLOBAL_STATE_SECTION, KnownDevices } from './known-devices.ts';
import { StreamPosition } from './machine-stream.ts';
import { OpaqueDeviceReader } from './opaque-devices.ts';
import { EarlySections } from './section-bounds.ts';
import { decodeCommand, decodeFooter, decodeSectionHead, type StreamCommand } from './stream-elements.ts';
import { checkPageBytes, refusalOf } from './target-checks.ts';
import { decodeVmDescription, describedPageBytes } from './vm-description.ts';

/** The part of the stream that is read; errors name it. */
export type TargetPhase =
  | 'header'
  | 'configuration'
  | 'elements'
  | 'ram'
  | 'ram-footer'
  | 'devices'
  | 'description'
  | 'done';

/** The machine and the settings that a stream must fit. */
export type ExpectedMachine = Pick<IncomingPlan, 'target' | 'capabilities' | 'uuid'>;

/** Commands that are read behind a refused configuration, at most; the shared id needs six. */
const REFUSED_COMMANDS_MAX = 16;

/**
 * Reads a migration stream as its bytes come in. One step takes one complete element, or a batch of page records;
 * incomplete elements wait in the input buffer. Only guest RAM is changed, and the machine does not use it before the
 * whole stream has been read.
 */
export class TargetStream<Input extends StreamInput = InputBuffer> {
  readonly input: Input;
  readonly #plan: ExpectedMachine;
  readonly #onCommand: (command: StreamCommand) => void;
  phase: TargetPhase = 'header';
  /** The machine, when the whole stream has been read; null before. */
  loaded: LoadedMachine | null = null;
  /**
   * Why the configuration was refused, or null. The error is thrown at the next element that is no command, or by
   * `throwIfRefused`: a vmferry sends the shared id in pings directly behind the configuration.
   */
  refusal: StreamError | null = null;
  #refusedCommands = 0;
  #configuration: Configuration | null = null;
  /** The part that the stream has reached, in the order of all streams. */
  readonly #position = new StreamPosition();
  readonly ram: RamSection;
  #switchoverStart = false;
  readonly #early = new EarlySections();
  readonly #known: KnownDevices | null;
  readonly #opaque: OpaqueDeviceReader | null;
  /** Bytes of complete elements before the devices of an unknown machine. */
  #elementBytes = 0;

  constructor(plan: ExpectedMachine, onCommand: (command: StreamCommand) => void, input: Input) {
    this.input = input;
    this.#plan = plan;
    this.#onCommand = onCommand;
    this.ram = new RamSection(plan.target, this.input, pageFormatFor(plan.capabilities));
    this.#known = plan.target.form === 'devices' ? new KnownDevices(plan.target.devices) : null;
    this.#opaque = plan.target.form === 'image' ? new OpaqueDeviceReader() : null;
  }

  get pages(): { readonly normal: number; readonly zero: number } {
    return this.ram.pages;
  }

  /** The memory for RAM; null before the list of blocks has come. */
  get memory(): GuestMemory | null {
    return this.ram.memory;
  }

  get ramBytes(): number {
    return this.ram.bytes;
  }

  /** True if only the vmdescription is missing, which the stream of an unknown machine may lack. */
  get mayEndHere(): boolean {
    return this.#opaque?.isAtEndMark === true;
  }

  /** Grows with complete elements, not with single bytes. */
  get progress(): number {
    return this.#elementBytes + (this.#opaque?.progress ?? 0);
  }

  /** Reads all bytes that have come. @throws StreamError with its position. */
  advance(): void {
    this.#placed(() => {
      while (this.phase !== 'done' && this.#step());
    });
    if (this.phase !== 'devices') this.#elementBytes = this.input.takenBytes;
  }

  /** The sender has sent everything. @throws StreamError if the stream is incomplete. */
  end(): void {
    this.throwIfRefused();
    this.ram.noMore();
    this.advance();
    const opaque = this.#opaque;
    if (this.loaded === null && opaque?.isAtEndMark) this.#placed(() => this.#finishOpaque(opaque, true));
    if (this.loaded !== null) return;
    const at = this.input.takenBytes + this.input.length;
    throw new StreamError('stream_truncated', `the stream ends too early, in its part '${this.phase}'`, at);
  }

  /** @throws StreamError if the configuration was refused. */
  throwIfRefused(): void {
    if (this.refusal !== null) throw this.refusal;
  }

  #placed(work: () => void): void {
    try {
      work();
    } catch (error) {
      throw error instanceof StreamError ? error.at(this.input.takenBytes) : error;
    }
  }

  /** @returns false if more bytes are needed. */
  #step(): boolean {
    if (this.phase === 'ram') return this.#ramStep();
    if (this.#opaque !== null && this.#isOpaqueNext()) return this.#opaqueStep(this.#opaque);
    const reader = new ByteReader(this.input.view());
    let apply: () => void;
    try {
      apply = this.#element(reader);
    } catch (error) {
      if (error instanceof IncompleteError) return false;
      throw this.refusal ?? error;
    }
    apply();
    this.input.take(reader.position);
    return true;
  }

  /**
   * True if the rest of the stream is read by the reader of unknown devices: FULL sections behind RAM, and the end. With
   * `background-snapshot` QEMU writes no END of RAM. Early devices come before the first PART.
   */
  #isOpaqueNext(): boolean {
    if (this.phase === 'devices') return true;
    const type = this.input.view()[0];
    if (this.phase !== 'elements') return false;
    const isFull = type === ELEMENT.sectionFull && this.#position.hasReached('ram-parts');
    const isEnd = type === ELEMENT.eof && this.#position.hasReached('ram-end');
    if (!isFull && !isEnd) return false;
    if (!this.#position.hasReached('ram-end')) this.#opaque?.ramIsOpen(this.ram.head.sectionId);
    this.#position.enter('devices');
    this.phase = 'devices';
    return true;
  }

  /** Decodes the next element. @returns a function that applies it, for when it is known to be complete. */
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
          this.refusal = refusalOf(configuration, this.#plan)?.at(this.input.takenBytes) ?? null;
          this.#configuration = configuration;
          this.#position.enter('configuration');
          this.phase = 'elements';
        };
      }
      case 'ram-footer':
        decodeFooter(reader, this.ram.head);
        return () => {
          this.ram.close();
          this.#position.enter(this.ram.isEnded ? 'ram-end' : 'ram-parts');
          this.phase = 'elements';
        };
      case 'description':
        return this.#description(reader);
      default:
        return this.#typedElement(reader, reader.u8());
    }
  }

  #typedElement(reader: ByteReader, type: number): () => void {
    if (type !== ELEMENT.command || this.#refusedCommands >= REFUSED_COMMANDS_MAX) this.throwIfRefused();
    switch (type) {
      case ELEMENT.command: {
        const command = decodeCommand(reader);
        return () => {
          if (this.refusal !== null) this.#refusedCommands += 1;
          if (command.name === 'switchover-start') this.#switchoverStart = true;
          this.#onCommand(command);
        };
      }
      case ELEMENT.sectionStart:
        return this.ram.start(reader);
      case ELEMENT.sectionPart:
      case ELEMENT.sectionEnd:
        return this.#ramContinues(type === ELEMENT.sectionEnd, reader.u32());
      case ELEMENT.sectionFull:
        return this.#full(reader);
      case ELEMENT.eof:
        if (!this.#position.hasReached('ram-end'))
          throw new StreamError('section_order', 'the end mark comes before the end of the ram section');
        return () => {
          this.#position.enter('description');
          this.phase = 'description';
        };
      default:
        throw new StreamError('element_unexpected', `an element of the unknown type 0x${type.toString(16)} comes`);
    }
  }

  #ramContinues(isEnd: boolean, sectionId: number): () => void {
    const open = this.ram.reopen(isEnd, sectionId);
    return () => {
      open();
      this.phase = 'ram';
    };
  }

  #ramStep(): boolean {
    if (!this.ram.receive()) return false;
    this.phase = 'ram-footer';
    return true;
  }

  #full(reader: ByteReader): () => void {
    if (this.#known === null) return this.#early.read(reader, this.input.view());
    const head = decodeSectionHead(reader);
    if (!this.#position.hasReached('ram-end'))
      throw new StreamError('section_order', `section '${head.idstr}' comes before the end of the ram section`);
    const apply = this.#known.read(head, reader);
    decodeFooter(reader, head);
    return apply;
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
    if (globalState === undefined) throw new StreamError('section_missing', "the stream has no section 'globalstate'");
    if (found.vmDescription !== null) checkPageBytes(describedPageBytes(found.vmDescription));
    this.#finish(decodeGlobalState(globalState.body), {
      form: 'image',
      machineName: this.#configuration?.machineName ?? '',
      memory: this.ram.memory ?? { segments: [], blocks: [] },
      image: {
        configurationTail: this.#configuration?.tail ?? new Uint8Array(),
        ramSectionId: this.ram.head.sectionId,
        switchoverStart: this.#switchoverStart,
        earlySections: this.#early.all,
        ...found,
      },
    });
  }

  #description(reader: ByteReader): () => void {
    const type = reader.u8();
    if (type !== ELEMENT.vmDescription) {
      throw new StreamError('data_after_end', `the end mark is followed by byte 0x${type.toString(16)}`);
    }
    checkPageBytes(describedPageBytes(decodeVmDescription(reader, KNOWN_DESCRIPTION_BYTES_MAX)));
    if (reader.left > 0) throw new StreamError('data_after_end', `${reader.left} bytes follow the vmdescription`);
    return () => this.#finishKnown();
  }

  #finishKnown(): void {
    const { memory } = this.ram;
    if (this.#known === null || memory === null) throw new RangeError('only a machine with known devices ends here');
    const { globalState, bodies } = this.#known.finish();
    this.#finish(globalState, { form: 'devices', bodies, memory });
  }

  #finish(globalState: string, state: LoadedMachine['state']): void {
    this.ram.finish();
    this.loaded = { globalState, state };
    this.phase = 'done';
  }
}
