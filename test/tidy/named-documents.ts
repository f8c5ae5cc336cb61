// Documents that source files refer to.

const DOCUMENT = /\bdocs\/[A-Za-z0-9_./-]*?\.md\b/g;
/** A name in capitals stands for many: docs/errors/CODE.md. */
const PATTERN = /\/[A-Z]+\.md$/;

/** Each document that a file names and that `exists` does not know. */
export function missingDocuments(
  files: readonly { readonly path: string; readonly text: string }[],
  exists: (document: string) => boolean,
): string[] {
  return files.flatMap(({ path, text }) =>
    [...new Set(text.match(DOCUMENT) ?? [])]
      .filter((document) => !PATTERN.test(document) && !exists(document))
      .map((document) => `${path} names ${document}, which does not exist.`),
  );
}
