import type { OpaqueSection } from '../memory/machine-state.ts';
import { ByteReader, IncompleteError, StreamError } from './bytes.ts';
import { DEVICE_BYTES_MAX, ELEMENT, VM_DESCRIPTION_BYTES_MAX } from './constants.ts';
import { GLOBAL_STATE_BYTES, GLOBAL_STATE_SECTION } from './known-devices.ts';
import { sectionsBySize } from './section-bounds.ts';
import { decodeFooter, decodeSectionHead, encodeFooter, FOOTER_BYTES, type SectionHead } from './stream-elements.ts';
import { decodeVmDescription, describedBodySizes, findVmDescription } from './vm-description.ts';

export type OpaqueDevices = { readonly sections: readonly OpaqueSection[]; readonly vmDescription: Uint8Array | null };

/** Bytes that count as progress for the watchdog, so that a peer that sends one byte a second makes none. */
const PROGRESS_BYTES = 4096;

/**
 * Reads the end of a stream with unknown devices: FULL sections, the end mark, the vmdescription.
 *
 * Bodies have no length. While bytes arrive, a section is assumed to end at the first footer with its id behind which
 * another section may begin. That is a guess, because a body may contain such bytes. Only `globalstate` has a known size,
 * and it is the last section: the end mark follows it. When the vmdescription has come, its sizes decide. The guess is
 * used if the sizes are missing or wrong. If neither leads from the first section to the end mark, the stream is refused.
 */
export class OpaqueDeviceReader {
  #bytes: Buffer = Buffer.alloc(256 * 1024);
  #length = 0;
  /** The guess so far: sections, start of the next one, where the search for its footer continues, the end mark. */
  #sections: OpaqueSection[] = [];
  #position = 0;
  #scan = 0;
  #endMark = -1;
  #openRam: Buffer | null = null;

  /** The ram section had no END, as with QEMU's `background-snapshot`. No part of it may follow a device. */
  ramIsOpen(sectionId: number): void {
    this.#openRam = Buffer.from(encodeFooter(sectionId).subarray(1));
  }

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

  /** True if only the vmdescription is missing, which a stream may lack. */
  get isAtEndMark(): boolean {
    return this.#endMark >= 0 && this.#endMark === this.#length - 1;
  }

  /** Grows with complete sections and with each PROGRESS_BYTES; for the watchdog. */
  get progress(): number {
    return this.#sections.length + Math.floor(this.#length / PROGRESS_BYTES);
  }

  /**
   * Reads the bytes that have come. @returns the complete end of the stream, or null while bytes are missing.
   * @param isAll the sender has sent everything, so a missing vmdescription is accepted.
   */
  read(isAll: boolean): OpaqueDevices | null {
    const tail = findVmDescription(this.#bytes.subarray(0, this.#length));
    if (tail !== null) return { sections: this.#sectionsBefore(tail.endMark, tail.text), vmDescription: tail.text };
    this.#guess();
    if (this.#endMark < 0) return null;
    this.#checkBehindEndMark();
    return isAll && this.isAtEndMark ? { sections: this.#sections, vmDescription: null } : null;
  }

  /** Guesses section ends by their footers, as far as bytes have come. */
  #guess(): void {
    while (this.#endMark < 0 && this.#position < this.#length) {
      const type = this.#bytes[this.#position] ?? 0;
      if (type === ELEMENT.eof) this.#markEnd();
      else if (type !== ELEMENT.sectionFull) throw unexpected(type);
      else if (!this.#guessSection()) return;
    }
  }

  #markEnd(): void {
    if (this.#sections.length === 0) throw new StreamError('section_missing', 'the stream has no device sections');
    this.#endMark = this.#position;
  }

  #guessSection(): boolean {
    const reader = new ByteReader(this.#bytes.subarray(this.#position + 1, this.#length));
    let head: SectionHead;
    try {
      head = decodeSectionHead(reader);
    } catch (error) {
      if (error instanceof IncompleteError) return false;
      throw error;
    }
    const body = this.#position + 1 + reader.position;
    const end = isGlobalState(head) ? this.#globalStateEnd(head, body) : this.#findFooter(head.sectionId, body);
    if (end < 0) return false;
    this.#sections.push({ ...head, body: Buffer.from(this.#bytes.subarray(body, end)) });
    this.#position = end + FOOTER_BYTES;
    this.#scan = this.#position;
    return true;
  }

  /** Where the body of globalstate ends, or -1 until its footer has come. */
  #globalStateEnd(head: SectionHead, body: number): number {
    const end = body + GLOBAL_STATE_BYTES;
    if (end + FOOTER_BYTES > this.#length) return -1;
    decodeFooter(new ByteReader(this.#bytes.subarray(end, end + FOOTER_BYTES)), head);
    return end;
  }

  /** Where a body is assumed to end, or -1 while that is undecided. */
  #findFooter(sectionId: number, body: number): number {
    const footer = encodeFooter(sectionId);
    const from = Math.max(body, this.#scan);
    const all = this.#bytes.subarray(0, this.#length);
    for (let at = all.indexOf(footer, from); at >= 0; at = all.indexOf(footer, at + 1)) {
      const verdict = this.#begins(all.subarray(at + FOOTER_BYTES));
      if (verdict === true) return at;
      if (verdict === null) {
        this.#scan = at;
        return -1;
      }
    }
    this.#scan = Math.max(from, this.#length - FOOTER_BYTES + 1);
    return -1;
  }

  /**
   * True if a section may begin with `next`, null if more bytes are needed to decide.
   * @throws StreamError if the open ram section continues there.
   */
  #begins(next: Buffer): boolean | null {
    const isPart = next[0] === ELEMENT.sectionPart || next[0] === ELEMENT.sectionEnd;
    if (this.#openRam === null || !isPart) return beginsSection(next);
    if (next.length <= this.#openRam.length) return null;
    if (next.indexOf(this.#openRam) !== 1) return false;
    throw new StreamError('section_order', 'a part of the ram section comes behind a device section');
  }

  /** @throws StreamError if other bytes than one vmdescription follow the end mark. */
  #checkBehindEndMark(): void {
    const reader = new ByteReader(this.#bytes.subarray(this.#endMark + 1, this.#length));
    if (reader.left === 0) return;
    const type = reader.u8();
    if (type !== ELEMENT.vmDescription) {
      throw new StreamError('data_after_end', `the end mark is followed by byte 0x${type.toString(16)}`);
    }
    try {
      decodeVmDescription(reader);
    } catch (error) {
      if (error instanceof IncompleteError) return;
      throw error;
    }
    if (reader.left > 0) throw new StreamError('data_after_end', `${reader.left} bytes follow the vmdescription`);
    throw new StreamError('vm_description_broken', 'the vmdescription is no JSON text');
  }

  #sectionsBefore(endMark: number, text: Uint8Array): readonly OpaqueSection[] {
    const sizes = describedBodySizes(text);
    const described = sizes === null ? null : sectionsBySize(this.#bytes.subarray(0, endMark), sizes);
    if (described !== null) return described;
    this.#guess();
    if (this.#endMark === endMark) return this.#sections;
    if (this.#endMark >= 0) this.#checkBehindEndMark();
    const last = this.#sections.at(-1);
    const where = last === undefined ? 'the first section' : `section '${last.idstr}', instance ${last.instanceId},`;
    throw new StreamError('section_size_unclear', `where sections end behind ${where} cannot be told`);
  }
}

function isGlobalState(head: SectionHead): boolean {
  const { idstr, instanceId, versionId } = GLOBAL_STATE_SECTION;
  return head.idstr === idstr && head.instanceId === instanceId && head.versionId === versionId;
}

/** True if a section may begin with `next`, null if more bytes are needed to decide. */
function beginsSection(next: Uint8Array): boolean | null {
  if (next.length === 0) return null;
  if (next[0] !== ELEMENT.sectionFull) return false;
  if (next.length < 7) return null;
  const length = next[5] ?? 0;
  const printable = (byte: number) => byte > 0x20 && byte < 0x7f;
  return length > 0 && next.subarray(6, 6 + length).every(printable);
}

function unexpected(type: number): StreamError {
  return new StreamError('element_unexpected', `element 0x${type.toString(16)} cannot come among the device sections`);
}
