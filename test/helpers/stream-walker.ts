// Parses a saved stream as QEMU's analysis script does, by the description at its end. Uses nothing of src.

export type WalkedField = { readonly name: string; readonly type: string; readonly bytes: Buffer };
export type WalkedSection = {
  readonly sectionId: number;
  readonly idstr: string;
  readonly instanceId: number;
  readonly versionId: number;
  readonly fields: readonly WalkedField[];
};
type Described = { name: string; type: string; size: number; array_len?: number };
type DescribedDevice = {
  name: string;
  instance_id: number;
  vmsd_name: string;
  version: number;
  fields: Described[];
  subsections?: DescribedDevice[];
};
type Description = { configuration: DescribedDevice; page_size: number; devices: DescribedDevice[] };

const KIND = { zero: 2, memSize: 4, page: 8, eos: 16, continue: 32 } as const;

export class StreamWalker {
  readonly description: Description;
  readonly configuration: WalkedField[] = [];
  readonly blocks = new Map<string, Buffer>();
  readonly sections: WalkedSection[] = [];
  readonly commands: number[] = [];
  readonly #bytes: Buffer;
  #at = 8;
  #block = '';
  #sectionId = -1;
  readonly #ramIds = new Set<number>();

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.description = JSON.parse(this.#describedText()) as Description;
    if (bytes.readUInt32BE(0) !== 0x5145564d || bytes.readUInt32BE(4) !== 3) throw new Error('no stream of version 3');
    while (this.#element());
    if (this.#at !== bytes.length - this.#describedText().length - 5) throw new Error(`the walk ended at ${this.#at}`);
  }

  /** The last NUL lies in the length or just before it; the first brace behind it begins the text. */
  #describedText(): string {
    const brace = this.#bytes.indexOf('{', this.#bytes.lastIndexOf(0));
    if (this.#bytes[brace - 5] !== 6) throw new Error('there is no description');
    const length = this.#bytes.readUInt32BE(brace - 4);
    if (brace + length !== this.#bytes.length) throw new Error('the description does not end the stream');
    return this.#bytes.toString('utf8', brace);
  }

  #element(): boolean {
    const type = this.#take(1).readUInt8();
    if (type === 0) return false;
    if (type === 7) this.configuration.push(...this.#fields(this.description.configuration));
    else if (type === 1 || type === 4) this.#section();
    else if (type === 2 || type === 3) this.#part();
    else if (type === 8) this.#command();
    else if (type === 0x7e) this.#footer();
    else throw new Error(`element ${type} at ${this.#at - 1}`);
    return true;
  }

  #section(): void {
    this.#sectionId = this.#u32();
    const idstr = this.#take(this.#take(1).readUInt8()).toString();
    const instanceId = this.#u32();
    const versionId = this.#u32();
    if (idstr === 'ram') {
      this.#ramIds.add(this.#sectionId);
      this.#records();
      return;
    }
    const device = this.description.devices.find(({ name, instance_id: id }) => name === idstr && id === instanceId);
    if (device === undefined) throw new Error(`device ${idstr} ${instanceId} is not described`);
    this.sections.push({ sectionId: this.#sectionId, idstr, instanceId, versionId, fields: this.#fields(device) });
  }

  #part(): void {
    this.#sectionId = this.#u32();
    if (!this.#ramIds.has(this.#sectionId)) throw new Error(`section ${this.#sectionId} has not begun`);
    this.#records();
  }

  #footer(): void {
    const sectionId = this.#u32();
    if (sectionId !== this.#sectionId) throw new Error(`footer of ${sectionId} behind section ${this.#sectionId}`);
  }

  /** As the script, only SWITCHOVER_START is known: what needs a peer has no place in a file. */
  #command(): void {
    const command = this.#take(2).readUInt16BE();
    if (this.#take(2).readUInt16BE() !== 0 || command !== 11) throw new Error(`command ${command}`);
    this.commands.push(command);
  }

  #fields(device: DescribedDevice): WalkedField[] {
    const fields = device.fields.map(({ name, type, size, array_len: count = 1 }) => {
      return { name, type, bytes: this.#take(size * count) };
    });
    for (const inner of device.subsections ?? []) {
      if (this.#take(1).readUInt8() !== 5) throw new Error(`subsection ${inner.vmsd_name} is missing`);
      const name = this.#take(this.#take(1).readUInt8()).toString();
      if (name !== inner.vmsd_name || this.#u32() !== inner.version) throw new Error(`subsection ${name} comes`);
      fields.push(...this.#fields(inner));
    }
    return fields;
  }

  #records(): void {
    for (;;) {
      const word = this.#take(8).readBigUInt64BE();
      const flags = Number(word & 0xfffn);
      const offset = Number(word & ~0xfffn);
      if (flags === KIND.eos) return;
      if (flags === KIND.memSize) this.#blockList(offset);
      else if ((flags & ~KIND.continue) === KIND.page) this.#pageAt(flags, offset, null);
      else if ((flags & ~KIND.continue) === KIND.zero) this.#pageAt(flags, offset, 0);
      else throw new Error(`RAM flags 0x${flags.toString(16)} at ${this.#at - 8}`);
    }
  }

  #blockList(total: number): void {
    for (let left = total; left > 0; ) {
      const name = this.#take(this.#take(1).readUInt8()).toString();
      const length = Number(this.#take(8).readBigUInt64BE());
      this.blocks.set(name, Buffer.alloc(length));
      left -= length;
    }
  }

  #pageAt(flags: number, offset: number, fill: number | null): void {
    if ((flags & KIND.continue) === 0) this.#block = this.#take(this.#take(1).readUInt8()).toString();
    const block = this.blocks.get(this.#block);
    if (block === undefined || offset + 4096 > block.length) throw new Error(`page ${this.#block} ${offset}`);
    const content = fill === null ? this.#take(4096) : Buffer.alloc(4096, this.#take(1).readUInt8());
    content.copy(block, offset);
  }

  #u32(): number {
    return this.#take(4).readUInt32BE();
  }

  #take(count: number): Buffer {
    const part = this.#bytes.subarray(this.#at, this.#at + count);
    if (part.length !== count) throw new Error(`the stream ends at ${this.#bytes.length}, inside an element`);
    this.#at += count;
    return part;
  }
}
