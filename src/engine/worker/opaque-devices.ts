import type { OpaqueSection } from '../../domain/ports.ts';
import { ByteReader, IncompleteError, StreamError } from '../stream/byte-reader.ts';
import { DEVICE_BYTES_MAX, ELEMENT, VM_DESCRIPTION_BYTES_MAX } from '../stream/constants.ts';
import { decodeFooter, decodeSectionHead, FOOTER_BYTES, type SectionHead } from '../stream/section.ts';
import { decodeVmDescription, describedBodySizes } from '../stream/vm-description.ts';

export type OpaqueDevices = { readonly sections: readonly OpaqueSection[]; readonly vmDescription: Uint8Array | null };

/**
 * The end of a stream whose devices are not known here: FULL sections, the end mark, the vmdescription.
 *
 * Bodies carry no length. While bytes come in, a section ends at the first footer with its id behind which an element
 * may begin. Once the vmdescription is there its sizes decide: if they give other sections, those count; and if the
 * bytes fit neither, the stream is refused.
 */
export class OpaqueDeviceReader {
  #bytes: Buffer = Buffer.alloc(256 * 1024);
  #length = 0;
  #position = 0;
  #scan = 0;
  #sections: OpaqueSection[] = [];
  #endMark = -1;
  #mayBeEnd = false;

  append(bytes: Uint8Array): void {
    const needed = this.#length + bytes.length;
    if (needed > DEVICE_BYTES_MAX + VM_DESCRIPTION_BYTES_MAX) {
      throw new StreamError('device_bytes_too_many', `the device sections have more than ${DEVICE_BYTES_MAX} bytes`);
    }
    if (needed > this.#bytes.length) {
      const grown = Buffer.alloc(Math.max(needed, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
  }

  /** True once the end mark was seen, or what may be it: only the vmdescription can follow. */
  get hasEndMark(): boolean {
    return this.#endMark >= 0 || this.#mayBeEnd;
  }

  /** How many whole sections have come: progress, for the watchdog. */
  get sectionCount(): number {
    return this.#sections.length;
  }

  /**
   * Looks at what has come. @returns the whole end of the stream, or null while something is missing. With `isAll`
   * nothing more will come: a missing vmdescription is accepted then.
   */
  read(isAll: boolean): OpaqueDevices | null {
    if (this.#endMark < 0) this.#readSections(isAll);
    if (this.#endMark < 0) return null;
    const reader = new ByteReader(this.#bytes.subarray(this.#endMark + 1, this.#length));
    if (reader.left === 0) return isAll ? { sections: this.#sections, vmDescription: null } : null;
    const type = reader.u8();
    if (type !== ELEMENT.vmDescription) {
      throw new StreamError('data_after_end', `the end mark is followed by byte 0x${type.toString(16)}`);
    }
    try {
      const text = Buffer.from(decodeVmDescription(reader));
      if (reader.left > 0) throw new StreamError('data_after_end', `${reader.left} bytes follow the vmdescription`);
      return { sections: this.#checked(text), vmDescription: text };
    } catch (error) {
      if (error instanceof IncompleteError) return null;
      throw error;
    }
  }

  #readSections(isAll: boolean): void {
    while (this.#position < this.#length) {
      const type = this.#bytes[this.#position];
      if (type === ELEMENT.eof) {
        this.#endMark = this.#position;
        return;
      }
      if (type !== ELEMENT.sectionFull) throw unexpected(type ?? 0);
      if (!this.#readSection(isAll)) return;
    }
  }

  #readSection(isAll: boolean): boolean {
    const reader = new ByteReader(this.#bytes.subarray(this.#position + 1, this.#length));
    let head: SectionHead;
    try {
      head = decodeSectionHead(reader);
    } catch (error) {
      if (error instanceof IncompleteError) return false;
      throw error;
    }
    const body = this.#position + 1 + reader.position;
    const end = this.#findFooter(head.sectionId, Math.max(body, this.#scan), isAll);
    if (end < 0) return false;
    this.#sections.push({ ...head, body: Buffer.from(this.#bytes.subarray(body, end)) });
    this.#position = end + FOOTER_BYTES;
    this.#scan = this.#position;
    return true;
  }

  /** Where the body ends, or -1 while that cannot be said. */
  #findFooter(sectionId: number, from: number, isAll: boolean): number {
    const footer = Buffer.alloc(FOOTER_BYTES);
    footer[0] = ELEMENT.footer;
    footer.writeUInt32BE(sectionId, 1);
    const all = this.#bytes.subarray(0, this.#length);
    for (let at = all.indexOf(footer, from); at >= 0; at = all.indexOf(footer, at + 1)) {
      const next = all.subarray(at + FOOTER_BYTES);
      this.#mayBeEnd = next.length === 1 && next[0] === ELEMENT.eof;
      const verdict = this.#mayBeEnd && isAll ? true : beginsElement(next);
      if (verdict === null) {
        this.#scan = at;
        return -1;
      }
      if (verdict) return at;
    }
    this.#scan = Math.max(from, this.#length - FOOTER_BYTES + 1);
    return -1;
  }

  #checked(text: Uint8Array): readonly OpaqueSection[] {
    const sizes = describedBodySizes(text);
    const differs = (section: OpaqueSection) => {
      const size = sizes?.get(`${section.idstr}/${section.instanceId}`);
      return size !== undefined && size !== section.body.length;
    };
    if (sizes === null || !this.#sections.some(differs)) return this.#sections;
    return this.#readBySizes(sizes);
  }

  /** Reads the sections once more with the sizes of the vmdescription; they must lead to the end mark. */
  #readBySizes(sizes: ReadonlyMap<string, number>): readonly OpaqueSection[] {
    const reader = new ByteReader(this.#bytes.subarray(0, this.#endMark));
    const sections: OpaqueSection[] = [];
    while (reader.left > 0) {
      const type = reader.u8();
      if (type !== ELEMENT.sectionFull) throw unexpected(type);
      const head = decodeSectionHead(reader);
      const size = sizes.get(`${head.idstr}/${head.instanceId}`);
      if (size === undefined || size > reader.left) {
        throw new StreamError(
          'section_size_unclear',
          `where section '${head.idstr}', instance ${head.instanceId}, ends cannot be told`,
        );
      }
      sections.push({ ...head, body: Buffer.from(reader.bytes(size)) });
      decodeFooter(reader, head);
    }
    return sections;
  }
}

/** True if an element may begin with `next`, null if too little is there to tell. */
function beginsElement(next: Uint8Array): boolean | null {
  const type = next[0];
  if (type === undefined) return null;
  if (type === ELEMENT.eof) {
    if (next.length < 2) return null;
    return next[1] === ELEMENT.vmDescription;
  }
  if (type !== ELEMENT.sectionFull) return false;
  if (next.length < 7) return null;
  const length = next[5] ?? 0;
  const printable = (byte: number) => byte > 0x20 && byte < 0x7f;
  return length > 0 && next.subarray(6, 6 + length).every(printable);
}

function unexpected(type: number): StreamError {
  return new StreamError('element_unexpected', `element 0x${type.toString(16)} cannot come among the device sections`);
}
