// Elements of a manual page in the macros of man(7).

/** @returns the text with escapes, so that roff prints it unchanged */
export function plain(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('’', "'")
    .replaceAll('…', '...')
    .replaceAll('→', '->');
  return escaped.replaceAll(/^(?=[.'])/gm, '\\&');
}

/** @returns the text as an argument of a roff request */
export function quoted(text: string): string {
  return `"${plain(text).replaceAll('"', '\\(dq')}"`;
}

export function section(title: string): string {
  return `.SH ${title}`;
}

export function subsection(title: string): string {
  return `.SS ${quoted(title)}`;
}

/** One paragraph for each text. */
export function paragraph(...texts: readonly string[]): string {
  return texts.map((text) => `.PP\n${plain(text)}`).join('\n');
}

export function term(name: string, meaning: string): string {
  return `.TP\n.B ${quoted(name)}\n${plain(meaning === '' ? ' ' : meaning)}`;
}

/** Lines whose breaks and spaces roff keeps. */
export function preformatted(text: string): string {
  return `.PP\n.nf\n${plain(text)}\n.fi`;
}
