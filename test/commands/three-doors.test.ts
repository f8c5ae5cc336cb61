import { describe, expect, test } from 'vitest';
import type { Command } from '../../src/commands/command.ts';
import { COMMANDS } from '../../src/commands/command-table.ts';
import { CAPABILITIES_NOT_AVAILABLE } from '../../src/domain/settings/declared-settings.ts';
import type { FakeApp } from '../helpers/app.ts';
import {
  type Answer,
  askHmp,
  askHttp,
  askQmp,
  sameApp,
  socketOf,
  stateOf,
  withoutIds,
} from '../helpers/doors/doors.ts';
import type { DoorCall, DoorRow, GoodCall, RefusedCall } from '../helpers/doors/row.ts';
import { ROWS } from '../helpers/doors/rows.ts';
import type { JsonObject } from '../helpers/qemu/qmp.ts';
import type { QmpSocket } from '../helpers/qmp-client.ts';

/*
 * Every command is called with the same arguments through its HTTP route, over a QMP socket, and as a line of the text
 * monitor where it has one: each time of a service of its own that is in the same state. The answers have to be the same,
 * and so has everything that can be seen of the service afterwards.
 */

/** A service for each door. */
type Doors = {
  readonly http: FakeApp;
  readonly qmp: FakeApp;
  /** Null where the command has no line of the text monitor. */
  readonly hmp: FakeApp | null;
  readonly socket: QmpSocket;
};

async function doorsOf({ flags = [], line }: DoorCall): Promise<Doors> {
  const [http, qmp] = await Promise.all([sameApp(flags), sameApp(flags)]);
  const hmp = line === undefined ? null : await sameApp(flags);
  const socket = await socketOf(qmp);
  await askQmp(socket, 'qmp_capabilities', {});
  return { http, qmp, hmp, socket };
}

function appsOf({ http, qmp, hmp }: Doors): readonly FakeApp[] {
  return [http, qmp, ...(hmp === null ? [] : [hmp])];
}

async function prepare(doors: Doors, call: DoorCall): Promise<void> {
  for (const app of appsOf(doors)) await call.prepare?.(app);
}

function givenTo(app: FakeApp, { given = {} }: DoorCall): JsonObject {
  return typeof given === 'function' ? given(app) : given;
}

/** The answer, while the test does the additional actions of the call. */
async function during(app: FakeApp, call: DoorCall, asking: Promise<Answer>): Promise<Answer> {
  const [answer] = await Promise.all([asking, call.meanwhile?.(app)]);
  return answer;
}

type Answers = { readonly http: Answer; readonly qmp: Answer; readonly hmp: Answer | null };

async function ask({ http, qmp, hmp, socket }: Doors, entry: Command, call: DoorCall): Promise<Answers> {
  return {
    http: await during(http, call, askHttp(http, entry, givenTo(http, call))),
    qmp: await during(qmp, call, askQmp(socket, entry.name, givenTo(qmp, call))),
    hmp: hmp === null || call.line === undefined ? null : await during(hmp, call, askHmp(hmp, call.line)),
  };
}

/** The result of a successful call; a refusal fails the test with its reason. */
function resultOf(answer: Answer | null): unknown {
  expect(answer).toMatchObject({ kind: 'done' });
  return (answer as { readonly result: unknown }).result;
}

const all = (answer: never): unknown => answer;

async function expectDone(doors: Doors, entry: Command, call: GoodCall): Promise<void> {
  await prepare(doors, call);
  const answers = await ask(doors, entry, call);
  const [http, qmp] = [resultOf(answers.http), resultOf(answers.qmp)];
  const { view = all, lasting = all, shown = () => '' } = call;
  const same = (one: unknown, other: unknown): void =>
    expect(withoutIds(lasting(one as never))).toEqual(withoutIds(lasting(other as never)));
  if (entry.qapi?.returns === 'nothing') expect(qmp).toEqual({});
  else same(view(http as never), qmp);
  if (answers.hmp !== null) expect(resultOf(answers.hmp)).toBe(shown(qmp as never));
  const apps = answers.hmp === null ? [doors.http, doors.qmp] : appsOf(doors);
  for (const app of apps) await call.after?.(app);
  if (call.shows !== undefined) {
    const { query, given = {}, pick = all } = call.shows;
    same(http, pick(resultOf(await askQmp(doors.socket, query, given)) as never));
  }
  await expectSameStates(apps);
}

async function expectSameStates(apps: readonly FakeApp[]): Promise<void> {
  const states = await Promise.all(apps.map(stateOf));
  for (const state of states) expect(withoutIds(state)).toEqual(withoutIds(states[0]));
}

/** The error of a failed job, in the form of a refusal. */
async function refusalByJob({ qmp, socket }: Doors, id: string): Promise<Answer> {
  const { outcome } = await qmp.domain.jobs.ended(id, 20_000);
  expect(outcome).toBe('failed');
  const jobs = resultOf(await askQmp(socket, 'query-jobs', {})) as readonly JsonObject[];
  const desc = String(jobs.find((job) => job.id === id)?.error);
  return { kind: 'refused', errorClass: 'GenericError', desc };
}

async function expectRefused(doors: Doors, entry: Command, call: RefusedCall): Promise<void> {
  await prepare(doors, call);
  const before = await stateOf(doors.http);
  const { http, qmp, hmp } = await ask(doors, entry, call);
  expect(http).toEqual({
    kind: 'refused',
    errorClass: call.errorClass ?? 'GenericError',
    desc: expect.stringMatching(/\w/),
  });
  if (call.byJob === true) {
    expect(qmp).toEqual({ kind: 'done', result: {} });
    expect(await refusalByJob(doors, String(givenTo(doors.qmp, call)['job-id']))).toEqual(http);
  } else expect(qmp).toEqual(http);
  if (hmp?.kind === 'refused') expect({ ...hmp, errorClass: 'GenericError' }).toEqual(http);
  else if (hmp !== null) expect([hmp.kind, isSurplus(call)]).toEqual(['not-understood', true]);
  const unchanged = appsOf(doors).filter((app) => call.byJob !== true || app !== doors.qmp);
  for (const app of unchanged) expect(withoutIds(await stateOf(app))).toEqual(withoutIds(before));
}

/** An unknown member. HMP reports it as an additional argument before it runs the command. */
const SURPLUS = 'no-such-member';

function isCall(good: DoorRow['good']): good is GoodCall {
  return typeof good === 'object' && good !== null;
}

function isSurplus({ given }: DoorCall): boolean {
  return typeof given === 'object' && Object.hasOwn(given, SURPLUS);
}

function refusedCallOf({ good, refused }: DoorRow): RefusedCall {
  if (refused !== undefined) return refused;
  if (!isCall(good)) throw new Error('a row without a good call needs one that is refused');
  const given = typeof good.given === 'object' ? good.given : {};
  return { given: { ...given, [SURPLUS]: 1 }, ...(good.line === undefined ? {} : { line: `${good.line} surplus` }) };
}

type Case = { readonly entry: Command; readonly row: DoorRow };

const CASES: readonly Case[] = [...COMMANDS.values()].flatMap((entry) => {
  const row = ROWS.get(entry.name);
  return row === undefined ? [] : [{ entry, row }];
});

describe('the table of three doors', () => {
  test('has a row for every command, and no other row', () => {
    expect(CASES.map(({ entry }) => entry.name)).toEqual([...COMMANDS.keys()]);
    expect([...ROWS.keys()].filter((name) => !COMMANDS.has(name))).toEqual([]);
  });

  test('omits valid calls only for features that are not available', () => {
    for (const [name, { good }] of ROWS)
      if (typeof good === 'string') expect(CAPABILITIES_NOT_AVAILABLE, name).toContain(good);
  });
});

/** True for a call that needs no preparation and does not change the service. */
function leavesAsItWas({ flags, prepare: prepared, byJob }: RefusedCall): boolean {
  return flags === undefined && prepared === undefined && byJob !== true;
}

const needsConnection = ({ row }: Case): boolean => row.isOfConnection === true || row.isOfSocket === true;

const isPlainQuery = ({ entry, row: { good, isOfConnection } }: Case): boolean =>
  entry.role === 'viewer' && isCall(good) && leavesAsItWas(good) && isOfConnection !== true;

async function named(entry: Command, work: Promise<void>): Promise<void> {
  await work.catch((error: Error) => {
    error.message = `${entry.name}: ${error.message}`;
    throw error;
  });
}

describe('through three doors', () => {
  test('refused calls and queries have equal answers and change nothing', async () => {
    const doors = await doorsOf({ line: 'info status' });
    for (const { entry, row } of CASES) {
      const refused = refusedCallOf(row);
      if (leavesAsItWas(refused)) await named(entry, expectRefused(doors, entry, refused));
    }
    for (const { entry, row } of CASES.filter(isPlainQuery))
      await named(entry, expectDone(doors, entry, row.good as GoodCall));
  });

  const inStates = CASES.filter(({ row }) => !leavesAsItWas(refusedCallOf(row)));
  test.each(inStates)('$entry.name is refused equally in its particular state', async ({ entry, row }) => {
    const refused = refusedCallOf(row);
    await expectRefused(await doorsOf(refused), entry, refused);
  });

  const changing = CASES.filter((one) => isCall(one.row.good) && !needsConnection(one) && !isPlainQuery(one));
  test.each(changing)('$entry.name has equal answers and equal effects', async ({ entry, row }) => {
    const good = row.good as GoodCall;
    await expectDone(await doorsOf(good), entry, good);
  });

  test.each(CASES.filter(({ row }) => row.isOfConnection === true))(
    '$entry.name succeeds once on a connection, and is refused equally elsewhere',
    async ({ entry, row }) => {
      const app = await sameApp();
      const given = givenTo(app, row.good as GoodCall);
      const socket = await socketOf(app);
      expect(await askQmp(socket, entry.name, given)).toEqual({ kind: 'done', result: {} });
      const again = await askQmp(socket, entry.name, given);
      expect(again).toMatchObject({ kind: 'refused' });
      expect(await askHttp(app, entry, given)).toEqual(again);
    },
  );
});
