// The table of transfer errors, the pages about them and the code agree. The compiler ensures that no place has a
// code outside the table: TransferError.code has the type of its keys.

import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ERRORS, isErrorCode } from '../../../src/domain/errors.ts';
import { TRANSFER_ERRORS } from '../../../src/domain/ports/transfer-errors.ts';
import { ALL_ERROR_CODES } from '../../../src/routes/plugins/problem-details.ts';
import { ask, fakeApp } from '../../helpers/app.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const CODES = Object.keys(TRANSFER_ERRORS);
/** `code: 'x'` of a plain error, `new StreamError('x'`, and the code of a recovered row. */
const PATTERNS = [/\bcode: '([a-z_]+)'/g, /\bStreamError\(\s*'([a-z_]+)'/g, /\b[A-Z_]+ = '([a-z_]+)' satisfies/g];

function codesOf(text: string): string[] {
  return PATTERNS.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1] ?? ''));
}

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

describe('the codes of transfer errors', () => {
  test('are all used in the sources, and the sources use no other code', () => {
    const all = globSync(['src/engine/**/*.ts', 'src/domain/migration/*.ts', 'src/domain/events/*.ts'], { cwd: ROOT });
    const files = all.filter((file) => !file.startsWith('src/engine/snapshot/'));
    const arising = new Set(files.flatMap((file) => codesOf(read(file))));
    expect([...arising].sort()).toEqual([...CODES].sort());
  });

  test('are found in each form in which the sources write them', () => {
    const forms = ["{ code: 'a_b', message }", "new StreamError(\n  'c_d',", "const X_Y = 'e_f' satisfies Code;"];
    expect(forms.flatMap(codesOf)).toEqual(['a_b', 'c_d', 'e_f']);
  });

  test('have the same title as the code of a refusal with the same name', () => {
    const shared = CODES.filter(isErrorCode);
    expect(shared.sort()).toEqual([
      'address_in_use',
      'engine_failed',
      'file_outside_root',
      'image_locked',
      'no_space',
      'no_such_file',
      'not_a_plain_file',
      'permission_denied',
    ]);
    for (const code of shared) expect(Object.entries(TRANSFER_ERRORS)).toContainEqual([code, ERRORS[code].title]);
  });

  test('have distinct titles', () => {
    expect(new Set(Object.values(TRANSFER_ERRORS)).size).toBe(CODES.length);
  });
});

describe('the pages of transfer errors', () => {
  test('exist for each code, and docs/errors has no page without a code', () => {
    const pages = readdirSync(join(ROOT, 'docs/errors')).map((name) => name.replace(/\.md$/, ''));
    expect(pages.sort()).toEqual([...new Set([...CODES, ...ALL_ERROR_CODES])].sort());
  });

  test.each(Object.entries(TRANSFER_ERRORS))('explain what %s means and what to do', (code, title) => {
    const page = read(`docs/errors/${code}.md`);
    const head = isErrorCode(code) ? `${title}. Status ` : `${title}. Why a migration failed.\n`;
    expect(page.startsWith(`# ${code}\n\n${head}`), page).toBe(true);
    for (const heading of ['What it means', 'When it happens', 'What to do']) {
      expect(page).toMatch(new RegExp(`\n## ${heading}\n\n[^\n]{10,}\n`));
    }
  });

  test('are the only ones that the service serves at GET /errors/CODE', async () => {
    const { server } = await fakeApp();
    for (const code of CODES) {
      const { status, headers, text } = await ask(server, `/errors/${code}`);
      expect([status, headers['content-type']], code).toEqual([200, 'text/markdown; charset=utf-8']);
      expect(text === read(`docs/errors/${code}.md`), code).toBe(true);
    }
    for (const path of ['/errors/constructor', '/errors/stream_truncated.md', '/errors/STREAM_TRUNCATED']) {
      expect((await ask(server, path)).status, path).toBe(404);
    }
  });
});
