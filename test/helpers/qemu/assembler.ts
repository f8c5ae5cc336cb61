// The functions of an x86 assembler that the test guest needs: bytes, labels, and references to labels.

type Fixup = {
  readonly position: number;
  readonly label: string;
  readonly kind: 'relative32' | 'linear32' | 'segment16';
};

/** Where the code will lie in the guest's memory. */
export type CodeOrigin = {
  /** Linear address of the first byte. */
  readonly linear: number;
  /** Linear address of the real-mode code segment in which the CPU arrives. */
  readonly segmentBase: number;
};

export class Assembler {
  readonly #origin: CodeOrigin;
  readonly #bytes: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #fixups: Fixup[] = [];

  constructor(origin: CodeOrigin) {
    this.#origin = origin;
  }

  /** Bytes as they are. */
  emit(...bytes: number[]): this {
    this.#bytes.push(...bytes);
    return this;
  }

  /** A little-endian 32-bit value. */
  dword(value: number): this {
    return this.emit(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
  }

  label(name: string): this {
    if (this.#labels.has(name)) throw new Error(`Label ${name} is defined twice.`);
    this.#labels.set(name, this.#bytes.length);
    return this;
  }

  /** A 32-bit jump or call: the opcode, then the distance to the label. */
  branch(opcode: readonly number[], label: string): this {
    return this.emit(...opcode).#reference(label, 'relative32');
  }

  /** The label's linear address, 32 bits. */
  linearAddress(label: string): this {
    return this.#reference(label, 'linear32');
  }

  /** The label's offset in the real-mode segment, 16 bits. */
  segmentOffset(label: string): this {
    return this.#reference(label, 'segment16');
  }

  finish(): Uint8Array {
    const code = Uint8Array.from(this.#bytes);
    const view = new DataView(code.buffer);
    for (const { position, label, kind } of this.#fixups) {
      const target = this.#labels.get(label);
      if (target === undefined) throw new Error(`Label ${label} is not defined.`);
      const linear = this.#origin.linear + target;
      if (kind === 'relative32') view.setInt32(position, target - (position + 4), true);
      else if (kind === 'linear32') view.setUint32(position, linear, true);
      else view.setUint16(position, linear - this.#origin.segmentBase, true);
    }
    return code;
  }

  #reference(label: string, kind: Fixup['kind']): this {
    this.#fixups.push({ position: this.#bytes.length, label, kind });
    const placeholder = kind === 'segment16' ? [0, 0] : [0, 0, 0, 0];
    return this.emit(...placeholder);
  }
}
