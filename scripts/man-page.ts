// Writes packaging/vmferry.1 from the grammar of the command line; with --check, says whether it is what it would write.

import { readFileSync, writeFileSync } from 'node:fs';
import { manPage } from './man-page/page.ts';

const FILE = new URL('../packaging/vmferry.1', import.meta.url);
const text = manPage();

if (!process.argv.includes('--check')) writeFileSync(FILE, text);
else if (readFileSync(FILE, 'utf8') !== text) {
  console.error('packaging/vmferry.1 is not what the code says: run npm run build:man');
  process.exitCode = 1;
}
