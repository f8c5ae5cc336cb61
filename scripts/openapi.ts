// Writes openapi/openapi.json from the code. With --check, it only compares the file with the new text.

import { readFileSync, writeFileSync } from 'node:fs';
import { openApiDocument } from './openapi/document.ts';

const FILE = new URL('../openapi/openapi.json', import.meta.url);
const text = `${JSON.stringify(openApiDocument(), null, 2)}\n`;

if (!process.argv.includes('--check')) writeFileSync(FILE, text);
else if (readFileSync(FILE, 'utf8') !== text) {
  console.error('openapi/openapi.json is out of date: run npm run build:openapi');
  process.exitCode = 1;
}
