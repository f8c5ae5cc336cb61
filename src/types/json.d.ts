// JSON with the source text at hand, which Node 24 has and the compiler's library does not declare yet: integers
// beyond 2^53 are read from and written to their exact digits.

interface RawJSON {
  readonly rawJSON: string;
}

interface JSON {
  rawJSON(text: string | number | boolean | null): RawJSON;
  isRawJSON(value: unknown): value is RawJSON;
  parse(
    text: string,
    reviver: (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ): unknown;
}
