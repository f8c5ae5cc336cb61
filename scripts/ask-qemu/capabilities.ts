/** Records the combinations of capabilities that QEMU accepts, together and with parameters. */
import { launchQemu, type Qemu } from '../../test/helpers/qemu/process.ts';
import type { JsonObject } from '../../test/helpers/qemu/qmp.ts';
import { type Answer, capabilitiesOn, capabilityNames, setCapabilities, setParameters, versionOf } from './answer.ts';

export type CapabilityFact = { readonly on: readonly string[] } & Answer;

/** Capabilities that need another one. They are tested together with it and with each third capability. */
const PREREQUISITES: readonly (readonly [string, string])[] = [
  ['zero-copy-send', 'multifd'],
  ['postcopy-preempt', 'postcopy-ram'],
  ['switchover-ack', 'return-path'],
];

const MIXED_CAPABILITIES: readonly (readonly string[])[] = [
  ['multifd'],
  ['multifd', 'zero-copy-send'],
  ['mapped-ram'],
  ['mapped-ram', 'multifd'],
  ['postcopy-ram'],
  ['postcopy-ram', 'postcopy-preempt'],
  ['background-snapshot'],
  ['x-colo'],
];

const MIXED_PARAMETERS: readonly JsonObject[] = [
  { 'multifd-compression': 'none' },
  { 'multifd-compression': 'zlib' },
  { 'multifd-compression': 'zstd' },
  { 'tls-creds': '' },
  { 'tls-creds': 'tls0' },
  { 'tls-hostname': 'host' },
  { 'tls-authz': 'authz0' },
  { mode: 'cpr-reboot' },
  { mode: 'cpr-transfer' },
  { 'direct-io': true },
  { 'zero-page-detection': 'none' },
  { 'zero-page-detection': 'legacy' },
  { 'downtime-limit': 300 },
];

const PARAMETERS_OFF: JsonObject = {
  'multifd-compression': 'none',
  'tls-creds': '',
  'tls-hostname': '',
  'tls-authz': '',
  mode: 'normal',
  'direct-io': false,
  'zero-page-detection': 'multifd',
};

export async function askCapabilities(): Promise<object> {
  await using source = await launchQemu({ paused: true, ramMebibytes: 2 });
  await using target = await launchQemu({ paused: true, ramMebibytes: 2, incoming: 'defer' });
  return {
    qemuVersion: await versionOf(source),
    accelerator: 'tcg',
    capabilities: await capabilityNames(source),
    source: await askOneSide(source),
    target: await askOneSide(target),
    listeningTarget: await askListening(),
    withParameters: await askWithParameters(source),
  };
}

/** The names of all capabilities, and the groups that QEMU accepts as a source. */
export async function askTogether(
  groups: readonly (readonly string[])[],
): Promise<{ capabilities: readonly string[]; facts: readonly CapabilityFact[] }> {
  await using qemu = await launchQemu({ paused: true, ramMebibytes: 2 });
  const facts: CapabilityFact[] = [];
  for (const on of groups) facts.push(await factFor(qemu, on));
  return { capabilities: await capabilityNames(qemu), facts };
}

async function askOneSide(qemu: Qemu): Promise<object> {
  const names = await capabilityNames(qemu);
  const singles: CapabilityFact[] = [];
  const pairs: CapabilityFact[] = [];
  const orderMatters: object[] = [];
  const switchOffRefused: object[] = [];
  for (const [index, first] of names.entries()) {
    singles.push(await factFor(qemu, [first]));
    for (const second of names.slice(index + 1)) {
      const fact = await factFor(qemu, [first, second]);
      pairs.push(fact);
      if (fact.accepted) switchOffRefused.push(...(await switchedOffOneByOne(qemu, [first, second])));
      const reversed = await factFor(qemu, [second, first]);
      if (JSON.stringify({ ...fact, on: [] }) !== JSON.stringify({ ...reversed, on: [] })) orderMatters.push(reversed);
    }
  }
  const triples: CapabilityFact[] = [];
  for (const [dependent, prerequisite] of PREREQUISITES) {
    const others = names.filter((name) => name !== dependent && name !== prerequisite);
    for (const other of others) triples.push(await factFor(qemu, [dependent, prerequisite, other]));
  }
  return { singles, pairs, triples, orderMatters, switchOffRefused };
}

/** Sets all capabilities in one command, from a state in which all are off. @throws Error if QEMU applied a part of a refused command */
async function factFor(qemu: Qemu, on: readonly string[]): Promise<CapabilityFact> {
  await allOff(qemu);
  const answer = await setCapabilities(qemu, Object.fromEntries(on.map((name) => [name, true])));
  const after = await capabilitiesOn(qemu);
  const expected = answer.accepted ? [...on].sort() : [];
  if (JSON.stringify([...after].sort()) !== JSON.stringify(expected))
    throw new Error(`After setting ${on}, these are on: ${after}.`);
  return { on, ...answer };
}

async function switchedOffOneByOne(qemu: Qemu, pair: readonly [string, string]): Promise<object[]> {
  const refused: object[] = [];
  for (const off of pair) {
    await factFor(qemu, pair);
    const answer = await setCapabilities(qemu, { [off]: false });
    if (!answer.accepted) refused.push({ on: pair, off, ...answer });
  }
  return refused;
}

/** Some capabilities must be set before the target listens. */
async function askListening(): Promise<CapabilityFact[]> {
  await using qemu = await launchQemu({ paused: true, ramMebibytes: 2, incoming: 'defer' });
  await qemu.qmp.execute('migrate-incoming', { uri: `unix:${qemu.path('migration.sock')}` });
  const facts: CapabilityFact[] = [];
  for (const name of await capabilityNames(qemu)) facts.push(await factFor(qemu, [name]));
  facts.push(await factFor(qemu, ['postcopy-ram', 'postcopy-preempt']));
  facts.push(await factFor(qemu, ['return-path', 'switchover-ack']));
  return facts;
}

async function askWithParameters(qemu: Qemu): Promise<object[]> {
  const facts: object[] = [];
  for (const on of MIXED_CAPABILITIES) {
    const states = Object.fromEntries(on.map((name) => [name, true]));
    for (const parameters of MIXED_PARAMETERS) {
      await allOff(qemu);
      const parametersSet = await setParameters(qemu, parameters);
      const capabilitiesAfterwards = await setCapabilities(qemu, states);
      await allOff(qemu);
      const capabilitiesSet = await setCapabilities(qemu, states);
      const parametersAfterwards = await setParameters(qemu, parameters);
      // A combination that QEMU accepted can still make it refuse every later change.
      const laterParameters = await setParameters(qemu, { 'downtime-limit': 301 });
      facts.push({
        on,
        parameters,
        parametersThenCapabilities: [parametersSet, capabilitiesAfterwards],
        capabilitiesThenParameters: [capabilitiesSet, parametersAfterwards, laterParameters],
      });
    }
  }
  await allOff(qemu);
  return facts;
}

async function allOff(qemu: Qemu): Promise<void> {
  const off = Object.fromEntries((await capabilityNames(qemu)).map((name) => [name, false]));
  for (const answer of [await setCapabilities(qemu, off), await setParameters(qemu, PARAMETERS_OFF)]) {
    if (!answer.accepted) throw new Error(`Cannot reset: ${answer.desc}`);
  }
}
