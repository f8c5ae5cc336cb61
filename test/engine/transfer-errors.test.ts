/** docs/transfer-errors.md has every code that a migration can fail with, and no other. */
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
const SOURCES = ['src/engine/**/*.ts', 'src/domain/migration/*.ts'];
/** `code: 'x'` of a plain error, `new StreamError('x'`, the fallback of a choice, a constant. */
const PATTERNS = [
  /\bcode: '([a-z_]+)'/g,
  /\bStreamError\(\s*'([a-z_]+)'/g,
  /\.code : '([a-z_]+)'/g,
  /^(?:export )?const [A-Z_]*(?:STOPPED|CODE)[A-Z_]* = '([a-z_]+)'/gm,
];

function codesOf(text: string): string[] {
  return PATTERNS.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1] ?? ''));
}

function codesInSource(): string[] {
  const files = SOURCES.flatMap((pattern) => globSync(pattern, { cwd: ROOT }));
  return [...new Set(files.flatMap((file) => codesOf(readFileSync(join(ROOT, file), 'utf8'))))].sort();
}

function codesInDocument(): string[] {
  const text = readFileSync(join(ROOT, 'docs/transfer-errors.md'), 'utf8');
  return [...text.matchAll(/^\| `([a-z_]+)` \|/gm)].map((match) => match[1] ?? '');
}

describe('the codes of transfer errors', () => {
  it('are all in the document, and the document has no other', () => {
    expect([...codesInDocument()].sort()).toEqual(codesInSource());
  });

  it('are explained once each', () => {
    const codes = codesInDocument();
    expect(codes.length).toBeGreaterThan(40);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it('are found in every form in which the source has them', () => {
    const forms = [
      "{ code: 'a_b', message }",
      "new StreamError(\n  'c_d',",
      "error instanceof X ? error.code : 'e_f';",
    ];
    expect(forms.flatMap(codesOf)).toEqual(['a_b', 'c_d', 'e_f']);
  });
});
