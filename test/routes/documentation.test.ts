import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openApiDocument } from '../../scripts/openapi/document.ts';
import { ARGUMENTS_LENGTH_MAX } from '../../src/commands/execute.ts';
import { type JsonSchema, validate } from '../../src/commands/validate.ts';
import { DEADLINES } from '../../src/compose-machine.ts';
import { ANNOUNCEMENTS_KEPT, ANNOUNCEMENTS_MAX, ROUNDS_KEPT } from '../../src/domain/announce/announcer.ts';
import { AUDIT_KEPT, AUDIT_REFUSALS_KEPT } from '../../src/domain/audit.ts';
import { EVENTS_KEPT } from '../../src/domain/events/event-hub.ts';
import { IDEMPOTENCY_KEPT_MS } from '../../src/domain/idempotency.ts';
import { JOB_ID_LENGTH_MAX } from '../../src/domain/jobs/job-spec.ts';
import { CONCLUDED_JOBS_LISTED, JOBS_MAX } from '../../src/domain/jobs/jobs.ts';
import { TAG_BYTES_MAX } from '../../src/domain/snapshots/snapshot-tag.ts';
import { LINE_LENGTH_MAX } from '../../src/hmp/hmp-monitor.ts';
import { QMP_LIMITS } from '../../src/qmp/qmp-limits.ts';
import { KEY_LENGTH_MAX } from '../../src/routes/http/idempotency-key.ts';
import { HTTP_LIMITS } from '../../src/routes/http-limits.ts';
import type { Example, Operation } from '../../src/routes/operation.ts';
import { ALL_ERROR_CODES, describeCode } from '../../src/routes/plugins/problem-details.ts';
import { OPERATIONS } from '../../src/routes/route-table.ts';
import { JOBS_KEPT } from '../../src/store/job-repository.ts';
import { SETTINGS_VERSIONS_KEPT } from '../../src/store/keyed-repositories.ts';
import { SAMPLED_MIGRATIONS_KEPT } from '../../src/store/migration-time-line.ts';
import { JSON_LIMITS } from '../../src/text/json.ts';
import { ask, type FakeApp, fakeApp, type Reply } from '../helpers/app.ts';
import { combinations } from '../helpers/combinations.ts';
import { type HeldState, jobIn } from '../helpers/jobs.ts';
import { shared } from '../helpers/shared.ts';

const ROOT = new URL('../../', import.meta.url);
const committed = readFileSync(new URL('openapi/openapi.json', ROOT), 'utf8');

type Document = {
  paths: Record<string, Record<string, { responses: object; summary: string }>>;
  components: { schemas: object };
};
const document = JSON.parse(committed) as Document;

describe('the OpenAPI document', () => {
  test('is committed as the code generates it', () => {
    expect(committed === `${JSON.stringify(openApiDocument(), null, 2)}\n`).toBe(true);
  });

  test('has no unresolved reference, and no unused named schema', () => {
    const used = new Set([...committed.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1]));
    const named = Object.keys(document.components.schemas);
    expect([...used].filter((name) => !named.includes(String(name)))).toEqual([]);
  });

  test('has a unique id, a summary, an example and the errors for each operation', () => {
    expect(new Set(OPERATIONS.map(({ id }) => id)).size).toBe(OPERATIONS.length);
    for (const { id, path, method, examples } of OPERATIONS) {
      const entry = document.paths[path.replace(/:(\w+)/g, '{$1}')]?.[method.toLowerCase()];
      expect(entry?.summary, id).toMatch(/\w/);
      expect(examples.length, id).toBeGreaterThan(0);
      for (const status of ['400', '403', '500']) expect(Object.keys(entry?.responses ?? {}), id).toContain(status);
    }
  });

  test('is served unchanged', async () => {
    expect((await ask(untouched().server, '/openapi.json')).text).toBe(committed);
  });
});

/** The state of the job that the example of an operation requires. */
const JOB_STATES: Readonly<Record<string, HeldState>> = {
  queryJobs: 'running',
  queryJob: 'running',
  queryJobHistory: 'concluded',
  jobCancel: 'running',
  jobPause: 'running',
  jobResume: 'paused',
  jobComplete: 'ready',
  jobFinalize: 'pending',
  jobDismiss: 'concluded',
};

/** The snapshot of the examples. */
const SAVED = 'before-upgrade';

/** Prepares the service for the examples of an operation. @returns ids for the path. */
async function listen(app: FakeApp): Promise<void> {
  const begun = app.domain.migration.incoming({ uri: 'tcp:127.0.0.1:0' });
  app.incoming().listen();
  await begun;
}

async function prepare(app: FakeApp, { id }: Operation): Promise<Record<string, string>> {
  if (id === 'migrateContinue' || id === 'queryMigration' || id === 'querySamples') {
    const { json } = await ask(app.server, '/migrate', { body: { uri: 'tcp:127.0.0.1:1' } });
    for (const status of ['active', 'pre-switchover'] as const) app.outgoing().step(status);
    return { id: String(json.id) };
  }
  if (id.startsWith('snapshot') && id !== 'snapshotSave') app.blocks.put('disk0', { tag: SAVED, vmStateBytes: 1 });
  if (id.startsWith('querySnapshot')) app.blocks.put('disk0', { tag: SAVED });
  const jobState = JOB_STATES[id];
  if (jobState !== undefined) await jobIn(app, 'save-1', jobState);
  if (id === 'setVcpuDirtyLimit') app.machine.dirty.ringEntries = 4096;
  if (id === 'xenLoadDevicesState')
    await ask(app.server, '/xen/save-devices-state', { body: { filename: 'devices.bin' } });
  if (id === 'xenLoadDevicesState') await ask(app.server, '/stop', { method: 'POST' });
  if (id === 'stopListening') await listen(app);
  if (id === 'queryAnnouncement') await ask(app.server, '/announcements', { body: {} });
  if (id === 'queryAudit') await ask(app.server, '/stop', { method: 'POST' });
  if (id !== 'removeBlocker') return {};
  const { json } = await ask(app.server, '/migrate/blockers', { body: { reason: 'A test.' } });
  return { id: String(json.id) };
}

const PREPARED_READS = [
  'queryMigration',
  'querySamples',
  'queryAnnouncement',
  'queryAudit',
  ...Object.keys(JOB_STATES),
];

/** An unchanged service for operations that only read. */
const untouched = shared(() => fakeApp());

/** A service for the examples of an operation: a new one unless they only read the initial state. */
async function appFor({ id, method }: Operation): Promise<FakeApp> {
  const isPrepared = PREPARED_READS.includes(id) || id.startsWith('querySnapshot');
  if (method === 'GET' && !isPrepared) return untouched();
  return fakeApp(['migrateIncoming', 'stopListening'].includes(id) ? { flags: ['--incoming', 'defer'] } : {});
}

type Sent = { readonly example: Example; readonly ids: Record<string, string>; readonly headers?: Example['headers'] };

async function send(app: FakeApp, { path, method }: Operation, { example, ids, headers }: Sent) {
  const params: Record<string, string> = { ...example.params, ...ids };
  const filled = path.replace(/:(\w+)/g, (_, name: string) => params[name] ?? '');
  const query = example.query === undefined ? '' : `?${new URLSearchParams(example.query)}`;
  const pending = ask(app.server, `${filled}${query}`, {
    method,
    ...(example.body === undefined ? {} : { body: example.body }),
    headers: { ...example.headers, ...headers },
  });
  if (path === '/migrate/incoming' && method === 'POST') {
    await expect.poll(() => app.incoming()).toBeDefined();
    app.incoming().listen();
  }
  return await pending;
}

const examples = OPERATIONS.filter(({ id }) => id !== 'followEvents').flatMap((operation) =>
  operation.examples.map((example) => ({ operation, example, name: `${operation.id}, ${example.name}` })),
);

describe('examples', () => {
  const sample = examples.filter(
    ({ operation, example }) => operation.method === 'GET' || operation.examples[0] === example,
  );

  test.each(combinations(examples, sample))(
    'have requests that succeed with answers that match their schemas: $name',
    async ({ operation, example }) => {
      const app = await appFor(operation);
      const ids = await prepare(app, operation);
      const reply = await send(app, operation, { example, ids });
      expect(reply.status, reply.text).toBe(example.status);
      const described = operation.replies[reply.status];
      for (const header of Object.keys(described?.headers ?? {})) {
        if (['ETag', 'Location'].includes(header)) expect(reply.headers[header.toLowerCase()]).toBeDefined();
      }
      if (described?.schema === null) expect(reply.text).toBe('');
      else if (described?.type === undefined) expect(validate(described?.schema as JsonSchema, reply.json)).toEqual([]);
      else expect(reply.headers['content-type']).toContain(described.type);
    },
  );

  test.each(examples)('have answers that match their schemas: $name', ({ operation, example }) => {
    const described = operation.replies[example.status];
    expect(described).toBeDefined();
    if (described?.schema === null) expect(example.answer).toBeUndefined();
    else expect(validate(described?.schema as JsonSchema, example.answer)).toEqual([]);
  });
});

/** True if the answer confirms a wait. */
const isGranted = ({ headers }: Reply) => headers['preference-applied'] !== undefined;

describe('Prefer: wait', () => {
  const first = examples.filter(({ operation, example }) => operation.examples[0] === example);

  /** All that wait or only read, and some of those that need a service of their own. */
  const sample = first.filter(
    ({ operation: { method, headers } }, index) => headers?.Prefer !== undefined || method === 'GET' || index % 4 === 0,
  );

  test.each(combinations(first, sample))(
    'is described for an operation exactly if the operation supports it: $operation.id',
    async (of) => {
      const { operation, example } = of;
      const app = await appFor(operation);
      const ids = await prepare(app, operation);
      const headers = { Prefer: 'wait=0' };
      const replies = [await send(app, operation, { example, ids, headers })];
      const { etag } = replies[0]!.headers;
      if (operation.method === 'GET' && etag !== undefined) {
        replies.push(
          await send(app, operation, { example, ids, headers: { ...headers, 'If-None-Match': String(etag) } }),
        );
        expect(replies[1]?.status).toBe(304);
      }
      if (example.status < 400) for (const reply of replies) expect(reply.status, reply.text).toBeLessThan(400);
      expect(replies.some(isGranted)).toBe(operation.headers?.Prefer !== undefined);
      // An answer with any of these statuses may follow a wait.
      const described = Object.values(operation.replies).map((reply) => reply.headers?.['Preference-Applied']);
      expect(new Set(described.map((text) => text !== undefined))).toEqual(new Set([replies.some(isGranted)]));
    },
  );
});

// test/domain/ports/transfer-errors.test.ts checks that each code has a page and each page a code.
describe('error pages', () => {
  test.each([...ALL_ERROR_CODES])(
    'the page of %s has its title and status, and the service serves it',
    async (code) => {
      const page = readFileSync(new URL(`docs/errors/${code}.md`, ROOT), 'utf8');
      const { title, status } = describeCode(code);
      expect(page).toContain(`# ${code}\n\n${title}. Status ${status}.`);
      for (const heading of ['What it means', 'When it happens', 'What to do'])
        expect(page).toContain(`## ${heading}\n\n`);
    },
  );

  test('the type of a problem is the address of its page', async () => {
    const { server } = await fakeApp();
    const refused = await ask(server, '/migrate', { body: {} });
    const page = await ask(server, String(refused.json.type));
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/markdown; charset=utf-8']);
    expect(page.text).toContain('# uri_or_channels');
  });
});

describe('the interactive page', () => {
  test('loads nothing from other origins and cannot', async () => {
    const { server } = untouched();
    const page = await ask(server, '/docs');
    expect(page.status).toBe(200);
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    const targets = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '');
    expect(targets.length).toBeGreaterThan(2);
    for (const target of targets) {
      expect(target).not.toMatch(/^(?:https?:)?\/\//);
      const asset = await ask(server, new URL(target, 'http://localhost/docs/').pathname);
      expect([asset.status, target]).toEqual([200, target]);
    }
    expect(page.text).not.toMatch(/<script>[^<]/);
  });
});

describe('docs/limits.md', () => {
  const kept = {
    SAMPLED_MIGRATIONS_KEPT,
    EVENTS_KEPT,
    AUDIT_KEPT,
    AUDIT_REFUSALS_KEPT,
    ARGUMENTS_LENGTH_MAX,
    SETTINGS_VERSIONS_KEPT,
    IDEMPOTENCY_KEPT_MS,
    TAG_BYTES_MAX,
    JOBS_MAX,
    CONCLUDED_JOBS_LISTED,
    JOB_ID_LENGTH_MAX,
    JOBS_KEPT,
    ANNOUNCEMENTS_KEPT,
    ANNOUNCEMENTS_MAX,
    ROUNDS_KEPT,
    KEY_LENGTH_MAX,
    LINE_LENGTH_MAX,
  };
  const limits = Object.entries({ ...HTTP_LIMITS, ...JSON_LIMITS, ...DEADLINES, ...kept });
  const page = readFileSync(new URL('docs/limits.md', ROOT), 'utf8');

  test.each(limits)('states that %s is %i', (name, value) => {
    expect(page).toContain(`| \`${name}\` | ${value} |`);
  });

  test.each(Object.entries(QMP_LIMITS))('states that %s of a QMP socket is %i', (name, value) => {
    const [, section] = page.split('## QMP');
    expect(section?.split('\n## ')[0]).toContain(`| \`${name}\` | ${value} |`);
  });
});
