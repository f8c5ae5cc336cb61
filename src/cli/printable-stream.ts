/* Text of several lines that comes in pieces, made safe for a terminal. */

/** Decodes UTF-8 and takes away what would steer a terminal, but for line ends and tabs. */
export class PrintableStream {
  readonly #decoder = new TextDecoder();

  take(chunk: Buffer): string {
    return printable(this.#decoder.decode(chunk, { stream: true }));
  }
}

function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replaceAll('\r', '\n')
    .replaceAll(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}]/gu, ' ');
}
