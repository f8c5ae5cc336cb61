// Clients that two generators create from the OpenAPI document: the document alone defines their types and calls, and
// each client controls a migration.

import { execFile } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { generateApi } from 'swagger-typescript-api';
import { expect, test } from 'vitest';
import { temporaryDirectory, tokenFile } from '../helpers/app.ts';
import { localService, spawnService } from '../helpers/guest-service.ts';

const run = promisify(execFile);
const ROOT = new URL('../../', import.meta.url).pathname;
const TOKEN = 'token-of-the-generated-client';

/** The program of the client. The lines after `@ts-expect-error` are calls that the document does not have. */
const PROGRAM = `
import createClient from 'openapi-fetch';
import type { paths } from './api.ts';

const [, , baseUrl = '', uri = ''] = process.argv;
const client = createClient<paths>({ baseUrl, headers: { authorization: 'Bearer ${TOKEN}' } });

export function wrong(): void {
  // @ts-expect-error There is no such path.
  void client.GET('/nowhere');
  // @ts-expect-error An address is a text.
  void client.POST('/migrate', { body: { uri: 7 } });
  // @ts-expect-error A migration has an id.
  void client.GET('/migrations/{id}', {});
}

const set = await client.PATCH('/migrate/parameters', { body: { 'downtime-limit': 500, 'max-bandwidth': 0 } });
const limit: number | undefined = set.data?.['downtime-limit'];
const refused = await client.PATCH('/migrate/parameters', { body: { 'downtime-limit': -1 } });
const code: string | undefined = refused.error?.code;
const begun = await client.POST('/migrate', { body: { uri }, params: { header: { Prefer: 'wait=40' } } });
const id = begun.data?.id ?? '';
const detail = await client.GET('/migrations/{id}', { params: { path: { id } } });
const passes: number | undefined = detail.data?.passes.length;
const status = await client.GET('/migrate');
console.log(JSON.stringify({ limit, code, row: detail.data?.status, passes, status: status.data?.status }));
`;

test('a client with types from the OpenAPI document passes the type check, and moves a guest', async () => {
  const directory = temporaryDirectory();
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  const { stdout: types } = await run(process.execPath, [join(ROOT, 'scripts/client-types.ts')], {
    maxBuffer: 2 ** 24,
  });
  writeFileSync(join(directory, 'api.ts'), types);
  writeFileSync(join(directory, 'client.mts'), PROGRAM);
  await expectMovesGuest(directory);
});

/** The same with a client of classes and methods. */
const PROGRAM_OF_METHODS = `
import { Api, ContentType } from './api.ts';

const [, , baseUrl = '', uri = ''] = process.argv;
const client = new Api({ baseUrl, baseApiParams: { headers: { authorization: 'Bearer ${TOKEN}' } } });

export function wrong(): void {
  // @ts-expect-error An address is a text.
  void client.migrate.migrate({ uri: 7 });
  // @ts-expect-error A migration has an id.
  void client.migrations.queryMigration();
}

const set = await client.migrate.migrateSetParameters({ 'downtime-limit': 500, 'max-bandwidth': 0 });
const limit: number | undefined = set.data['downtime-limit'];
const refused = await client.migrate.migrateSetParameters({ 'downtime-limit': -1 }).catch((answer) => answer);
const code: string = refused.error.code;
const headers = { prefer: 'wait=40' };
const begun = await client.migrate.migrate({ uri }, { headers, type: ContentType.Json });
const detail = await client.migrations.queryMigration(begun.data.id);
const passes: number = detail.data.passes.length;
const status = await client.migrate.queryMigrate();
console.log(JSON.stringify({ limit, code, row: detail.data.status, passes, status: status.data.status }));
`;

test('a client with methods from the OpenAPI document passes the type check, and moves a guest', async () => {
  const directory = temporaryDirectory();
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  await generateApi({ input: join(ROOT, 'openapi/openapi.json'), output: directory, fileName: 'api.ts', silent: true });
  writeFileSync(join(directory, 'client.mts'), PROGRAM_OF_METHODS);
  await expectMovesGuest(directory);
});

/** Compiles `client.mts`, which checks its types, and lets it move a guest. */
async function expectMovesGuest(directory: string): Promise<void> {
  const options = ['--strict', '--skipLibCheck', '--rewriteRelativeImportExtensions', '--types', 'node'];
  const modules = ['--module', 'nodenext', '--target', 'esnext', '--lib', 'esnext,dom'];
  await run(join(ROOT, 'node_modules/.bin/tsc'), [...options, ...modules, 'client.mts'], { cwd: directory });
  const target = await localService(['--incoming', 'tcp:127.0.0.1:0']);
  const source = await spawnService(temporaryDirectory(), ['--token-file', tokenFile([`${TOKEN} operator`])]);
  const { stdout } = await run(process.execPath, [
    join(directory, 'client.mjs'),
    source.url,
    await target.incomingUri(),
  ]);
  expect(JSON.parse(stdout)).toEqual({
    limit: 500,
    code: 'value_out_of_range',
    row: 'completed',
    passes: expect.any(Number),
    status: 'completed',
  });
  await target.expectRunning();
}
