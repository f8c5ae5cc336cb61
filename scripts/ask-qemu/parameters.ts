/** Records which values QEMU accepts for each migration parameter, and the resulting values. Values are stored as JSON text. */
import { stringifyJson } from '../../src/text/json.ts';
import { launchQemu, type Qemu } from '../../test/helpers/qemu/process.ts';
import type { JsonObject } from '../../test/helpers/qemu/qmp.ts';
import { type Answer, answerTo, setParameters, versionOf } from './answer.ts';

export type ParameterFact = {
  readonly parameter: string;
  readonly sent: string;
  readonly readBack: string | null;
} & Answer;

/** The bounds of QEMU 10.0. The values around each bound are tested. VALUES_EVERYWHERE has the bounds of the C types. */
const INTEGER_BOUNDS: Readonly<Record<string, readonly number[]>> = {
  'announce-initial': [0, 100_000],
  'announce-max': [0, 100_000],
  'announce-rounds': [0, 1000],
  'announce-step': [1, 10_000],
  'throttle-trigger-threshold': [1, 100],
  'cpu-throttle-initial': [1, 99],
  'cpu-throttle-increment': [1, 99],
  'max-bandwidth': [0],
  'avail-switchover-bandwidth': [0],
  'downtime-limit': [0, 2_000_000],
  'x-checkpoint-delay': [0],
  'multifd-channels': [1, 255],
  'xbzrle-cache-size': [4096, 8192, 65_536, 67_108_864],
  'max-postcopy-bandwidth': [0],
  'max-cpu-throttle': [20, 99],
  'multifd-zlib-level': [0, 9],
  'multifd-qatzip-level': [1, 9],
  'multifd-zstd-level': [0, 20],
  'x-vcpu-dirty-limit-period': [1, 1000],
  'vcpu-dirty-limit': [1],
};

const VALUES_EVERYWHERE = [
  ...['-9223372036854775809', '-9223372036854775808', '-2', '-1', '-0', '0', '1', '127', '128', '255', '256', '257'],
  ...['65535', '65536', '2147483647', '2147483648', '4294967295', '4294967296', '4294967297'],
  ...['9007199254740991', '9007199254740992', '9007199254740993', '9223372036854775807', '9223372036854775808'],
  ...['18446744073709551615', '18446744073709551616', '1e2', '1.0', '1.5', '"1"', '""', 'true', 'null', '[]', '{}'],
];

const BOOLEAN_VALUES = ['true', 'false', '0', '1', '1.0', '"on"', '"true"', 'null', '[]'];
const STRING_VALUES = ['""', '"name"', '"with space"', 'null', '0', 'true', '[]', '{}'];
const ENUM_VALUES = ['"none"', '"None"', '"bogus"', '""', '0', 'true', 'null', '[]'];

const OTHER_VALUES: Readonly<Record<string, readonly string[]>> = {
  'cpu-throttle-tailslow': BOOLEAN_VALUES,
  'direct-io': BOOLEAN_VALUES,
  'tls-creds': STRING_VALUES,
  'tls-hostname': STRING_VALUES,
  'tls-authz': STRING_VALUES,
  'multifd-compression': [...ENUM_VALUES, '"zlib"', '"zstd"', '"qatzip"', '"qpl"', '"uadk"'],
  'zero-page-detection': [...ENUM_VALUES, '"legacy"', '"multifd"'],
  mode: [...ENUM_VALUES, '"normal"', '"cpr-reboot"', '"cpr-transfer"', '"cpr-exec"'],
  'block-bitmap-mapping': [
    ...['null', '"x"', '{}', '[{}]', '[{"node-name":"n"}]'],
    '[{"node-name":"n","alias":"a","bitmaps":[]}]',
    '[{"node-name":"n","alias":"a","bitmaps":[{"name":"b","alias":"c"}]}]',
    '[{"node-name":"n","alias":"a","bitmaps":[]},{"node-name":"n","alias":"b","bitmaps":[]}]',
    '[{"node-name":"n","alias":"a","bitmaps":[]},{"node-name":"m","alias":"a","bitmaps":[]}]',
    '[{"node-name":"n","alias":"a","bitmaps":[{"name":"b","alias":"c"},{"name":"b","alias":"d"}]}]',
    '[{"node-name":"n","alias":"a","bitmaps":[{"name":"b","alias":"c"},{"name":"d","alias":"c"}]}]',
    '[{"node-name":"n","alias":"-1 not an id","bitmaps":[]}]',
    '[{"node-name":"n","alias":"a","bitmaps":[{"name":"b","alias":"c","transform":{"persistent":true}}]}]',
    '[]',
  ],
};

/** Changes of several members. Each list is sent in order, starting from the defaults. */
const SEQUENCES: readonly (readonly string[])[] = [
  ['{}'],
  ['{"bogus":1}'],
  ['{"downtime-limit":400,"bogus":1}'],
  ['{"downtime_limit":400}'],
  ['{"downtime-limit":400,"multifd-channels":0}'],
  ['{"multifd-channels":0,"downtime-limit":2000001,"announce-step":0}'],
  ['{"downtime-limit":400,"downtime-limit":500}'],
  ['{"cpu-throttle-initial":50,"max-cpu-throttle":49}'],
  ['{"cpu-throttle-initial":50,"max-cpu-throttle":50}'],
  ['{"max-cpu-throttle":30}', '{"cpu-throttle-initial":31}'],
  ['{"max-cpu-throttle":30}', '{"cpu-throttle-initial":30}'],
  ['{"cpu-throttle-initial":60}', '{"max-cpu-throttle":59}'],
  ['{"announce-initial":500,"announce-max":50}'],
  ['{"multifd-compression":"zlib","multifd-zlib-level":10}'],
  ['{"tls-creds":"a"}', '{"tls-creds":null}'],
  ['{"block-bitmap-mapping":[{"node-name":"n","alias":"a","bitmaps":[]}]}', '{"block-bitmap-mapping":null}'],
];

/** Sends each value, starting from the defaults, and records the resulting values. */
export async function askValues(
  questions: readonly Pick<ParameterFact, 'parameter' | 'sent'>[],
): Promise<ParameterFact[]> {
  await using qemu = await launchQemu({ paused: true, ramMebibytes: 2 });
  const facts: ParameterFact[] = [];
  for (const { parameter, sent } of questions) facts.push(await factFor(qemu, parameter, sent));
  return facts;
}

export async function askParameters(): Promise<object> {
  await using qemu = await launchQemu({ paused: true, ramMebibytes: 2 });
  const all = Object.entries(questions()).flatMap(([parameter, values]) => values.map((sent) => ({ parameter, sent })));
  const facts = await askValues(all);
  const sequences: object[] = [];
  for (const sequence of SEQUENCES) sequences.push(await sequenceFact(sequence));
  return {
    qemuVersion: await versionOf(qemu),
    defaults: await freshParameters(),
    values: facts,
    sequences,
  };
}

function questions(): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const [parameter, bounds] of Object.entries(INTEGER_BOUNDS)) {
    const around = bounds.flatMap((bound) => [bound - 1, bound, bound + 1]).map(String);
    all[parameter] = [...new Set([...around, ...VALUES_EVERYWHERE])];
  }
  for (const [parameter, values] of Object.entries(OTHER_VALUES)) all[parameter] = [...new Set(values)];
  return all;
}

/** Sets one parameter, starting from the defaults. @throws Error if a refused value changed the parameter */
async function factFor(qemu: Qemu, parameter: string, sent: string): Promise<ParameterFact> {
  await restoreDefaults(qemu);
  const before = await readBackOf(qemu, parameter);
  const answer = await answerTo(qemu, 'migrate-set-parameters', `{${JSON.stringify(parameter)}:${sent}}`);
  const after = await readBackOf(qemu, parameter);
  if (!answer.accepted && after !== before)
    throw new Error(`QEMU refused ${parameter} ${sent}, but its value is now ${after}.`);
  return { parameter, sent, ...answer, readBack: answer.accepted ? after : null };
}

export async function sequenceFact(sequence: readonly string[]): Promise<object> {
  await using qemu = await launchQemu({ paused: true, ramMebibytes: 2 });
  const defaults = await parametersOf(qemu);
  const answers: Answer[] = [];
  for (const sent of sequence) answers.push(await answerTo(qemu, 'migrate-set-parameters', sent));
  const after = Object.entries(await parametersOf(qemu));
  const changed = Object.fromEntries(after.filter(([name, value]) => !isSame(value, defaults[name])));
  return { sequence, answers, changed };
}

function isSame(left: unknown, right: unknown): boolean {
  return JSON.stringify(left) === JSON.stringify(right);
}

export async function freshParameters(): Promise<JsonObject> {
  await using qemu = await launchQemu({ paused: true, ramMebibytes: 2 });
  return await parametersOf(qemu);
}

function parametersOf(qemu: Qemu): Promise<JsonObject> {
  return qemu.qmp.query('query-migrate-parameters');
}

const defaultsOf = new WeakMap<Qemu, JsonObject>();

async function restoreDefaults(qemu: Qemu): Promise<void> {
  const defaults = defaultsOf.get(qemu) ?? (await parametersOf(qemu));
  defaultsOf.set(qemu, defaults);
  const answer = await setParameters(qemu, defaults);
  if (!answer.accepted) throw new Error(`QEMU refuses its own defaults: ${answer.desc}`);
}

/** The value as JSON text with all digits of numbers; null if the parameter is not listed. */
async function readBackOf(qemu: Qemu, parameter: string): Promise<string | null> {
  const reply = await qemu.qmp.executeText('query-migrate-parameters', null);
  if (reply.kind === 'error') throw new Error(`QEMU does not show its parameters: ${reply.description}`);
  const value = (reply.value as JsonObject)[parameter];
  return value === undefined ? null : stringifyJson(value);
}
