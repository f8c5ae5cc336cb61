// Writes packaging/vmferry.1 from the grammar of the command line. With --check, it only compares the file with the new text.

import { readFileSync, writeFileSync } from 'node:fs';
import { manPage } from './man-page/page.ts';

const FILE = new URL('../packaging/vmferry.1', import.meta.url);
const text = manPage();

if (!process.argv.includes('--check')) writeFileSync(FILE, text);
else if (readFileSync(FILE, 'utf8') !== text) {
  console.error('packaging/vmferry.1 is out of date: run npm run build:man');
  process.exitCode = 1;
}
