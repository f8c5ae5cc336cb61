// Writes the table of features and tests into docs/testing.md. test/tidy/test-table.test.ts fails if the table is out of date.

import { readFileSync, writeFileSync } from 'node:fs';
import { FEATURES } from './test-table/features.ts';
import { testFiles } from './test-table/files.ts';
import { testTable, withTable } from './test-table/table.ts';

const PAGE = new URL('../docs/testing.md', import.meta.url);

writeFileSync(PAGE, withTable(readFileSync(PAGE, 'utf8'), testTable(testFiles(), FEATURES)));
