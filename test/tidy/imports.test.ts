import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importFaults } from './import-rules.ts';
import { ROOT, sourceFile, sourceFilesBelow } from './source-file.ts';

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};
const dependencies = Object.keys(manifest.dependencies);

function faultsOf(path: string, text: string): string[] {
  return importFaults([sourceFile(path, text)], dependencies);
}

test('every import in src has a direction that the table allows', () => {
  expect(importFaults(sourceFilesBelow('src'), dependencies)).toEqual([]);
});

describe('the import table refuses', () => {
  test.each([
    ['src/domain/job/job.ts', "import { x } from '../../store/database.ts';"],
    ['src/domain/ids.ts', "import { readFileSync } from 'node:fs';"],
    ['src/store/database.ts', "import { x } from '../commands/migrate.ts';"],
    ['src/commands/migrate.ts', "import { x } from '../engine/engine.ts';"],
    ['src/engine/engine.ts', "import { x } from '../domain/ports/hypervisor.ts';"],
    ['src/engine/phases/source.ts', "import { x } from '../../domain/ports/hypervisor.ts';"],
    ['src/engine/phases/source.ts', "import type { X } from '../../domain/domain.ts';"],
    ['src/engine/stream/stream-elements.ts', "import { x } from '../../domain/ports/hypervisor.ts';"],
    ['src/engine/stream/reader.ts', "import { createReadStream } from 'node:fs';"],
    ['src/machine/image/image.ts', "export * from '../../engine/phases/source.ts';"],
    ['src/block/node.ts', "import { x } from '../engine/kernels/kernels.ts';"],
    ['src/routes/migrate.ts', "import { x } from '../domain/migration/outgoing.ts';"],
    ['src/routes/migrate.ts', "import { x } from '../qmp/server.ts';"],
    ['src/qmp/qmp-listener.ts', "const x = await import('../hmp/format.ts');"],
    ['src/cli/main.ts', "import { x } from '../commands/schemas/migrate.ts';"],
    ['src/app.ts', "import { test } from 'vitest';"],
    ['src/app.ts', "import { x } from '../test/helpers/x.ts';"],
    ['src/store/database.ts', "import fastify from 'fastify';"],
    ['src/domain/x.ts', "type X = import('../store/database.ts').X;"],
  ])('from %s the import %s', (path, text) => {
    expect(faultsOf(path, text)).toHaveLength(1);
  });

  test('a file in a folder that the table does not name', () => {
    expect(faultsOf('src/helpers/x.ts', '')).toEqual(['src/helpers/x.ts is in no folder of the import table.']);
  });
});

describe('the import table allows', () => {
  test.each([
    ['src/domain/job/job.ts', "import assert from 'node:assert';"],
    ['src/store/database.ts', "import Database from 'better-sqlite3';"],
    ['src/engine/engine.ts', "import type { X } from '../domain/ports/hypervisor.ts';"],
    ['src/engine/kernels/kernels.ts', "import { readFileSync } from 'node:fs';"],
    ['src/machine/synthetic/vcpu.ts', "import { x } from '../../engine/kernels/kernels.ts';"],
    ['src/routes/migrate.ts', "import { Type } from 'typebox/type';"],
    ['src/cli/main.ts', "import type { X } from '../commands/schemas/migrate.ts';"],
    ['src/app.ts', "import { x } from './routes/route-table.ts';"],
  ])('from %s the import %s', (path, text) => {
    expect(faultsOf(path, text)).toEqual([]);
  });
});
