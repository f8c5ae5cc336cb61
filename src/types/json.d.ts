// JSON.rawJSON and the reviver's source text, which Node 24 has and TypeScript's library does not declare. With them
// integers beyond 2^53 keep their digits.

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
