import type { DeviceBody } from './device-body.ts';

export const CONSOLE_BYTES = 4096;

export const CONSOLE_FIELDS = [
  { name: 'written', type: 'uint64', bytes: 8 },
  { name: 'ring', type: 'buffer', bytes: CONSOLE_BYTES },
] as const;

const READ_ATTEMPTS = 4;

/** The guest's console: the newest 4 KiB of what it printed, in the body of a device. One thread writes. */
export class ConsoleRing {
  readonly #body: DeviceBody;
  readonly #ring: Uint8Array;

  constructor(body: DeviceBody) {
    this.#body = body;
    this.#ring = body.buffer('ring');
  }

  /** Appends ASCII text. */
  print(text: string): void {
    const written = this.#body.read('written');
    for (let at = 0; at < text.length; at += 1) {
      this.#ring[(written + at) % CONSOLE_BYTES] = text.charCodeAt(at) & 0x7f;
    }
    this.#body.write('written', written + text.length);
  }

  /** The newest text, for any thread: read again if the writer went on meanwhile, so that no line comes out mixed. */
  text(): string {
    let text = '';
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt += 1) {
      const written = this.#body.read('written');
      text = this.#copy(written);
      if (this.#body.read('written') === written) break;
    }
    return text;
  }

  #copy(written: number): string {
    const start = Math.max(0, written - CONSOLE_BYTES);
    const bytes = Uint8Array.from(
      { length: written - start },
      (_, at) => this.#ring[(start + at) % CONSOLE_BYTES] ?? 0,
    );
    return new TextDecoder('latin1').decode(bytes);
  }
}
