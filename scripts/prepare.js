// npm runs this script after `npm ci` in a checkout. It is plain JavaScript, because the system's own Node, which
// `npm ci --omit=dev` uses, may be too old to strip types.

import { createRequire } from 'node:module';

const { resolve } = createRequire(import.meta.url);

if (isInstalled('rolldown')) await import('./build.ts');
else
  process.stdout.write(
    'vmferry is not bundled, because the bundler is a development package; it runs from its sources\n',
  );

/** @param {string} name */
function isInstalled(name) {
  try {
    resolve(name);
    return true;
  } catch {
    return false;
  }
}
