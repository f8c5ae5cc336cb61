/** QEMU's answer to one command, as the fixture stores it. */
import type { Qemu } from '../../test/helpers/qemu/process.ts';
import type { JsonObject } from '../../test/helpers/qemu/qmp.ts';

export type Answer =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly class: string; readonly desc: string };

/** Runs a command. Its arguments are JSON text. */
export async function answerTo(qemu: Qemu, command: string, argumentsText: string): Promise<Answer> {
  const reply = await qemu.qmp.executeText(command, argumentsText);
  if (reply.kind === 'result') return { accepted: true };
  return { accepted: false, class: reply.class, desc: reply.description };
}

export async function setCapabilities(qemu: Qemu, states: Readonly<Record<string, boolean>>): Promise<Answer> {
  const capabilities = Object.entries(states).map(([capability, state]) => ({ capability, state }));
  return answerTo(qemu, 'migrate-set-capabilities', JSON.stringify({ capabilities }));
}

export async function setParameters(qemu: Qemu, parameters: JsonObject): Promise<Answer> {
  return answerTo(qemu, 'migrate-set-parameters', JSON.stringify(parameters));
}

/** The names of the capabilities that are on. */
export async function capabilitiesOn(qemu: Qemu): Promise<string[]> {
  const list = (await qemu.qmp.execute('query-migrate-capabilities')) as { capability: string; state: boolean }[];
  return list.filter(({ state }) => state).map(({ capability }) => capability);
}

export async function capabilityNames(qemu: Qemu): Promise<string[]> {
  const list = (await qemu.qmp.execute('query-migrate-capabilities')) as { capability: string }[];
  return list.map(({ capability }) => capability);
}

export async function versionOf(qemu: Qemu): Promise<string> {
  const { qemu: number } = (await qemu.qmp.query('query-version')) as {
    qemu: { major: number; minor: number; micro: number };
  };
  return `${number.major}.${number.minor}.${number.micro}`;
}
