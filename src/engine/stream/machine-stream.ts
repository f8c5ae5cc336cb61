import type { OpaqueSection, TransferSource } from '../memory/machine-state.ts';
import { ByteWriter } from './bytes.ts';
import { encodeConfiguration, encodeHeader, encodeUuidSubsection } from './configuration.ts';
import { ELEMENT, RAM_FLAG, RAM_SECTION } from './constants.ts';
import { encodeGlobalState, GLOBAL_STATE_SECTION } from './known-devices.ts';
import { encodeRamSetup } from './ram-setup.ts';
import { encodeCommand, encodeFooter, encodeSectionHead, encodeSectionPart } from './stream-elements.ts';
import { encodeVmDescription, encodeVmDescriptionText } from './vm-description.ts';

/**
 * The parts of a machine's stream in their order, for all writers and for the reader, which checks the order.
 *
 * | part             | elements |
 * |------------------|----------|
 * | header           | magic and version |
 * | configuration    | machine name and subsections |
 * | return-path      | commands that open a return path; only with one |
 * | early-devices    | FULL sections that an image had before its RAM |
 * | ram-start        | START of the ram section: the list of blocks |
 * | ram-parts        | PARTs of the ram section, any number, and pings |
 * | switchover-start | the command of that name; a stream may lack it |
 * | ram-end          | END of the ram section; the guest is stopped |
 * | devices          | FULL sections; globalstate is the last one |
 * | end-mark         | the type byte EOF |
 * | description      | the vmdescription; a stream may lack it |
 */
export const STREAM_PARTS = [
  'header',
  'configuration',
  'return-path',
  'early-devices',
  'ram-start',
  'ram-parts',
  'switchover-start',
  'ram-end',
  'devices',
  'end-mark',
  'description',
] as const;
export type StreamPart = (typeof STREAM_PARTS)[number];

/** The part that a stream has reached. */
export class StreamPosition {
  #reached = -1;

  /** Moves to `part`. @throws RangeError if the stream is behind it: a fault of the program. */
  enter(part: StreamPart): void {
    const index = STREAM_PARTS.indexOf(part);
    if (index < this.#reached) throw new RangeError(`the part ${part} comes behind ${STREAM_PARTS[this.#reached]}`);
    this.#reached = index;
  }

  /** True if the stream is in `part`, or behind it. */
  hasReached(part: StreamPart): boolean {
    return STREAM_PARTS.indexOf(part) <= this.#reached;
  }

  /** Enters all parts up to and with `last`, one after the other. */
  *through(last: StreamPart): Generator<StreamPart> {
    for (const part of STREAM_PARTS.slice(this.#reached + 1, STREAM_PARTS.indexOf(last) + 1)) {
      this.enter(part);
      yield part;
    }
  }
}

/** Id of the ram section in a stream of known devices; the ids of the devices follow it. */
const DEFAULT_RAM_SECTION_ID = 2;

export type MachineToEncode = {
  readonly source: Pick<TransferSource, 'machineName' | 'memory' | 'state'>;
  /** Uuid in text form; null for a stream without one. An image has it in its configuration. */
  readonly uuid: string | null;
};

/**
 * Encodes a machine's stream without its pages. The writer takes the elements part by part, and writes commands of the return
 * path, and page records in `ram-parts` and `ram-end`, between them.
 */
export class MachineEncoder {
  /** Id of the ram section in this stream. */
  readonly ramSectionId: number;
  /** The run state in globalstate. It must be set before `devices`. */
  runState = 'running';
  readonly #machine: MachineToEncode;
  readonly #position = new StreamPosition();

  constructor(machine: MachineToEncode) {
    const { state } = machine.source;
    this.#machine = machine;
    this.ramSectionId = state.form === 'image' ? state.image.ramSectionId : DEFAULT_RAM_SECTION_ID;
  }

  /** The elements of all parts that were not taken before, up to and including `last`. */
  *through(last: StreamPart): Generator<Uint8Array> {
    for (const part of this.#position.through(last)) yield* this.#elements(part);
  }

  /** Begins a PART or the END of the ram section. */
  openRam(type: 'part' | 'end'): Uint8Array {
    return encodeSectionPart(type, this.ramSectionId);
  }

  /** Ends the records of a PART or of the END, with the footer. */
  closeRam(): Uint8Array {
    return new ByteWriter().u64(RAM_FLAG.eos).bytes(encodeFooter(this.ramSectionId)).finish();
  }

  #elements(part: StreamPart): Iterable<Uint8Array> {
    const { machineName, state } = this.#machine.source;
    switch (part) {
      case 'header':
        return [encodeHeader()];
      case 'configuration':
        return [encodeConfiguration(machineName, this.#configurationTail())];
      case 'early-devices':
        return state.form === 'image' ? sectionElements(state.image.earlySections) : [];
      case 'ram-start':
        return this.#ramStart();
      case 'switchover-start': {
        const isSent = state.form === 'devices' || state.image.switchoverStart;
        return isSent ? [encodeCommand({ name: 'switchover-start' })] : [];
      }
      case 'devices':
        return sectionElements(state.form === 'image' ? state.image.sections : this.#knownSections(state.devices));
      case 'end-mark':
        return [new Uint8Array([ELEMENT.eof])];
      case 'description':
        return this.#description();
      default:
        return [];
    }
  }

  #ramStart(): Uint8Array[] {
    return [
      encodeSectionHead('start', { sectionId: this.ramSectionId, ...RAM_SECTION }),
      encodeRamSetup(this.#machine.source.memory.blocks),
      encodeFooter(this.ramSectionId),
    ];
  }

  #configurationTail(): Uint8Array {
    const { source, uuid } = this.#machine;
    if (source.state.form === 'image') return source.state.image.configurationTail;
    return uuid === null ? new Uint8Array() : encodeUuidSubsection(uuid);
  }

  #knownSections(devices: Extract<TransferSource['state'], { form: 'devices' }>['devices']): OpaqueSection[] {
    const globalState = { ...GLOBAL_STATE_SECTION, body: encodeGlobalState(this.runState) };
    return [...devices, globalState].map((device, index) => ({ ...device, sectionId: this.ramSectionId + 1 + index }));
  }

  #description(): Uint8Array[] {
    const { source, uuid } = this.#machine;
    const { machineName, state } = source;
    if (state.form === 'devices') return [encodeVmDescription(machineName, state.devices, uuid !== null)];
    return state.image.vmDescription === null ? [] : [encodeVmDescriptionText(state.image.vmDescription)];
  }
}

/** Head, body and footer of FULL sections; bodies are not copied. */
export function* sectionElements(sections: Iterable<OpaqueSection>): Generator<Uint8Array> {
  for (const section of sections) {
    yield encodeSectionHead('full', section);
    yield section.body;
    yield encodeFooter(section.sectionId);
  }
}
