// The allowed imports of each folder: the house rule "imports point one way", as a table. The first rule whose folder
// contains a file applies to the file. A file without a rule is a fault.

import type { Import, SourceFile } from './source-file.ts';

interface ImportRule {
  /** Paths that start with one of these have this rule; a name ending in .ts is that file only. */
  of: readonly string[];
  /** Project paths that may be imported (folders end in a slash). */
  may: readonly string[];
  /** Project paths of which only types may be imported. */
  types?: readonly string[];
  /** Packages and built-ins by name; `node:*` is every built-in. */
  packages: readonly string[];
  /** Built-ins taken away from `node:*`. */
  never?: readonly string[];
}

const PORTS = ['src/domain/ports/'];
/** Shared words that threads of the engine and the machine change too: their rules are the domain's, and stand once. */
const SHARED_WORDS = [
  'src/domain/migration/migration-status.ts',
  // The names of the cells that hold figures and live parameters.
  'src/domain/settings/declared-settings.ts',
];
/** The declarations of all settings: the text monitor reads and prints each setting by its declaration. */
const DECLARED = ['src/domain/settings/declared-settings.ts', 'src/domain/settings/schema-order.ts'];
const IO = [
  'node:child_process',
  'node:cluster',
  'node:dgram',
  'node:dns',
  'node:fs',
  'node:fs/promises',
  'node:http',
  'node:http2',
  'node:https',
  'node:net',
  'node:readline',
  'node:tls',
];
/** What HTTP, QMP and the text monitor need of the domain at run time: errors, and the values of statuses. */
const DOMAIN_VALUES = [
  'src/domain/errors.ts',
  'src/domain/jobs/job-lifecycle.ts',
  'src/domain/guest/run-state.ts',
  'src/domain/migration/migration-status.ts',
  'src/domain/ports/transfer-errors.ts',
  'src/domain/migration/verdict.ts',
];
/** The loader of C functions. */
const NATIVE = 'src/native/';
/** Readers of text that the service and its client share; they import nothing. */
const TEXT = 'src/text/';
const HTTP = [
  'fastify',
  '@fastify/swagger',
  '@fastify/swagger-ui',
  '@fastify/type-provider-typebox',
  '@prometheus-io/client',
  'typebox',
];

export const IMPORT_RULES: readonly ImportRule[] = [
  {
    of: ['src/main.ts', 'src/app.ts', 'src/compose-machine.ts'],
    may: ['src/', 'package.json'],
    packages: ['*', 'node:*'],
  },
  {
    of: ['src/config.ts', 'src/config/'],
    may: ['src/config.ts', 'src/config/', 'src/domain/', TEXT],
    packages: ['node:*'],
  },
  { of: ['src/log.ts'], may: ['src/config.ts', 'src/engine/session/worker-thread.ts'], packages: ['fastify', 'pino'] },
  { of: [TEXT], may: [TEXT], packages: [] },
  { of: [NATIVE], may: [NATIVE], packages: ['koffi', 'node:module'] },
  { of: ['src/start/'], may: ['src/start/', 'src/config/flag-values.ts', 'src/domain/'], packages: ['node:*'] },
  {
    of: ['src/embedded/'],
    may: ['src/embedded/', 'src/engine/', 'src/machine/'],
    types: PORTS,
    packages: [],
  },
  { of: ['src/domain/'], may: ['src/domain/', TEXT], packages: ['node:assert', 'node:assert/strict'] },
  {
    of: ['src/store/'],
    may: ['src/store/', 'src/domain/'],
    packages: [
      'better-sqlite3',
      'node:assert',
      'node:assert/strict',
      'node:fs',
      'node:fs/promises',
      'node:path',
      'node:url',
    ],
  },
  {
    of: ['src/commands/'],
    may: ['src/commands/', 'src/domain/', TEXT],
    packages: ['typebox', 'node:assert', 'node:assert/strict'],
  },
  {
    of: ['src/machine/'],
    may: ['src/machine/', 'src/engine/memory/', 'src/engine/stream/', 'src/engine/kernels/'],
    types: PORTS,
    packages: ['node:*'],
  },
  {
    of: ['src/block/'],
    may: ['src/block/', 'src/engine/memory/', 'src/engine/stream/', NATIVE],
    types: PORTS,
    packages: ['node:*'],
  },
  {
    of: ['src/engine/memory/'],
    may: ['src/engine/memory/', 'src/engine/kernels/', NATIVE],
    types: PORTS,
    packages: ['node:*'],
    never: IO,
  },
  { of: ['src/engine/stream/'], may: ['src/engine/'], types: PORTS, packages: ['node:*'], never: IO },
  {
    of: ['src/engine/kernels/'],
    may: ['src/engine/'],
    packages: ['node:*'],
    never: IO.filter((name) => name !== 'node:fs'),
  },
  // The block thread works on images with the engine's means.
  {
    of: ['src/engine/snapshot/'],
    may: ['src/engine/', 'src/block/', ...SHARED_WORDS],
    types: PORTS,
    packages: ['node:*'],
  },
  // What crosses to the workers has the shapes and the words of the ports; a type leaves nothing behind at run time.
  { of: ['src/engine/'], may: ['src/engine/', ...SHARED_WORDS, NATIVE], types: PORTS, packages: ['node:*'] },
  {
    of: ['src/routes/'],
    may: ['src/routes/', 'src/commands/', ...DOMAIN_VALUES, TEXT],
    types: ['src/domain/'],
    packages: [...HTTP, 'node:*'],
  },
  // The codec serves the QMP sockets and a client of another QMP server: it knows no commands.
  { of: ['src/qmp/codec/'], may: ['src/qmp/codec/', TEXT], packages: [] },
  {
    of: ['src/qmp/'],
    may: ['src/qmp/', 'src/commands/', ...DOMAIN_VALUES, TEXT, NATIVE],
    types: ['src/domain/'],
    packages: ['node:*'],
  },
  {
    of: ['src/hmp/'],
    may: ['src/hmp/', 'src/commands/', ...DOMAIN_VALUES, ...DECLARED, TEXT],
    types: ['src/domain/'],
    packages: ['typebox', 'node:*'],
  },
  {
    of: ['src/cli/'],
    may: ['src/cli/', 'src/config/flags.ts', TEXT],
    types: ['src/commands/schemas/'],
    packages: ['commander', 'eventsource-parser', 'node:*'],
  },
];

/** One sentence for each import that the table does not allow. */
export function importFaults(
  files: readonly SourceFile[],
  dependencies: readonly string[],
  rules: readonly ImportRule[] = IMPORT_RULES,
): string[] {
  return files.flatMap((file) => {
    const rule = rules.find(({ of }) => covers(of, file.path));
    if (rule === undefined) return [`${file.path} is in no folder of the import table.`];
    return file.imports
      .filter((entry) => !isAllowed(rule, entry, dependencies))
      .map(({ specifier, typeOnly }) => `${file.path} imports ${typeOnly ? 'types of ' : ''}${specifier}.`);
  });
}

function isAllowed(rule: ImportRule, entry: Import, dependencies: readonly string[]): boolean {
  const { specifier, target, typeOnly } = entry;
  if (specifier.startsWith('.')) return covers(rule.may, target) || (typeOnly && covers(rule.types ?? [], target));
  if (specifier.startsWith('node:')) {
    if (rule.never?.includes(specifier)) return false;
    return rule.packages.includes('node:*') || rule.packages.includes(specifier);
  }
  const name = packageName(specifier);
  return dependencies.includes(name) && (rule.packages.includes('*') || rule.packages.includes(name));
}

function covers(paths: readonly string[], path: string): boolean {
  return paths.some((entry) => (entry.endsWith('/') ? path.startsWith(entry) : path === entry));
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
