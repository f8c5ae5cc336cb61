import type { ImageStream, LoadedMachine, OpaqueSection, TransferSource } from '../memory/machine-state.ts';
import { ByteReader, ByteWriter, IncompleteError, StreamError } from './bytes.ts';
import { decodeHeader, encodeHeader } from './configuration.ts';
import { ELEMENT } from './constants.ts';
import {
  decodeGlobalState,
  encodeGlobalState,
  GLOBAL_STATE_SECTION,
  KnownDevices,
  withRunState,
} from './known-devices.ts';
import { sectionElements } from './machine-stream.ts';
import { OpaqueDeviceReader } from './opaque-devices.ts';
import { sectionsBySize, sizeKey } from './section-bounds.ts';
import { decodeFooter, decodeSectionHead } from './stream-elements.ts';

/*
 * A device state alone, as xen-save-devices-state of QEMU writes it:
 *
 *   u32 magic "QEVM", u32 version 3
 *   FULL sections with their footers, globalstate among them
 *   00
 *
 * That is a migration stream without its configuration, RAM and vmdescription. It contains no run state:
 * globalstate always says `running`, as in QEMU, and is checked but not applied when the file is read.
 */

/** First section id of a machine with known devices; 2 is the id of RAM. */
const FIRST_SECTION_ID = 3;
const RUN_STATE = 'running';

/** A device state alone, and how many sections it has. */
export type DeviceStateBytes = { readonly bytes: Uint8Array; readonly sections: number };

/** Encodes the device state of a machine whose vCPUs are stopped. The bytes are a copy. */
export function encodeDeviceStream({ state }: TransferSource): DeviceStateBytes {
  const sections = state.form === 'image' ? heldSections(state.image) : knownSections(state.devices);
  const writer = new ByteWriter().bytes(encodeHeader());
  for (const element of sectionElements(sections)) writer.bytes(element);
  return { bytes: writer.u8(ELEMENT.eof).finish(), sections: sections.length };
}

function heldSections({ earlySections, sections }: ImageStream): readonly OpaqueSection[] {
  return [...earlySections, ...sections].map((section) =>
    isGlobalState(section) ? { ...section, body: withRunState(section.body, RUN_STATE) } : section,
  );
}

function isGlobalState({ idstr }: OpaqueSection): boolean {
  return idstr === GLOBAL_STATE_SECTION.idstr;
}

type KnownState = Extract<TransferSource['state'], { form: 'devices' }>;

function knownSections(devices: KnownState['devices']): readonly OpaqueSection[] {
  const globalState = { ...GLOBAL_STATE_SECTION, body: encodeGlobalState(RUN_STATE) };
  return [...devices, globalState].map((device, index) => ({ ...device, sectionId: FIRST_SECTION_ID + index }));
}

/**
 * The machine `source` with the device state in `bytes`, which must have exactly the devices of `source`.
 * @throws StreamError with its position.
 */
export function decodeDeviceStream(bytes: Uint8Array, source: TransferSource): LoadedMachine {
  const reader = new ByteReader(bytes);
  try {
    decodeHeader(reader);
    const { state, memory, machineName } = source;
    if (state.form === 'devices') return readKnown(reader, { ...state, memory });
    const image = readImage(bytes.subarray(reader.position), state.image);
    return { globalState: RUN_STATE, state: { form: 'image', machineName, memory, image } };
  } catch (error) {
    if (error instanceof IncompleteError) {
      throw new StreamError('stream_truncated', 'the device state ends too early', bytes.length);
    }
    throw error instanceof StreamError ? error.at(reader.position) : error;
  }
}

function readKnown(
  reader: ByteReader,
  { devices, memory }: KnownState & Pick<TransferSource, 'memory'>,
): LoadedMachine {
  const known = new KnownDevices(devices);
  for (;;) {
    const type = reader.u8();
    if (type === ELEMENT.eof) break;
    if (type !== ELEMENT.sectionFull) {
      throw new StreamError('element_unexpected', `element 0x${type.toString(16)} cannot come in a device state`);
    }
    const head = decodeSectionHead(reader);
    const apply = known.read(head, reader);
    decodeFooter(reader, head);
    apply();
  }
  if (reader.left > 0) throw new StreamError('data_after_end', `${reader.left} bytes follow the end mark`);
  const { globalState, bodies } = known.finish();
  return { globalState, state: { form: 'devices', bodies, memory } };
}

/** Reads an image's sections by the body sizes of the image, or by their footers if the sizes do not fit. */
function readImage(bytes: Uint8Array, image: ImageStream): ImageStream {
  const held = new Map(heldSections(image).map((section) => [sizeKey(section), section]));
  const sizes = new Map([...held].map(([key, { body }]) => [key, body.length]));
  const bySize = bytes.at(-1) === ELEMENT.eof ? sectionsBySize(bytes.subarray(0, -1), sizes) : null;
  const found = bySize ?? sectionsByFooter(bytes);
  const fresh = new Map<string, OpaqueSection>();
  for (const section of found) {
    const own = held.get(sizeKey(section));
    checkSection(section, own, fresh);
    // Section ids differ between senders. The image keeps its own, which match the id of its RAM section.
    fresh.set(sizeKey(section), { ...section, sectionId: own?.sectionId ?? section.sectionId });
  }
  const take = (section: OpaqueSection): OpaqueSection => {
    const replacement = fresh.get(sizeKey(section));
    if (replacement === undefined) {
      throw new StreamError(
        'section_missing',
        `there is no section '${section.idstr}', instance ${section.instanceId}`,
      );
    }
    if (!isGlobalState(section)) return replacement;
    decodeGlobalState(replacement.body);
    return section;
  };
  // A vmdescription with wrong sizes would mislead its reader, and a stream may lack it.
  const vmDescription = bySize === null ? null : image.vmDescription;
  return {
    ...image,
    earlySections: image.earlySections.map(take),
    sections: image.sections.map(take),
    vmDescription,
  };
}

function checkSection(
  { idstr, instanceId, versionId }: OpaqueSection,
  own: OpaqueSection | undefined,
  fresh: ReadonlyMap<string, OpaqueSection>,
): void {
  const named = `section '${idstr}', instance ${instanceId}`;
  if (own === undefined) throw new StreamError('section_unknown', `the machine has no ${named}`);
  if (fresh.has(sizeKey(own))) throw new StreamError('section_duplicate', `${named}, comes twice`);
  if (own.versionId !== versionId) {
    throw new StreamError('section_version', `${named}, has version ${versionId}; the machine has ${own.versionId}`);
  }
}

function sectionsByFooter(bytes: Uint8Array): readonly OpaqueSection[] {
  const reader = new OpaqueDeviceReader();
  reader.append(bytes);
  const found = reader.read(true);
  if (found === null) throw new StreamError('stream_truncated', 'the device state ends too early');
  if (found.vmDescription !== null) {
    throw new StreamError('data_after_end', 'a vmdescription follows the end mark of the device state');
  }
  return found.sections;
}
