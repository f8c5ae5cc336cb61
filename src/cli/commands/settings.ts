import { EXIT, type ExitStatus, Failure, unexpectedAnswer } from '../client-failure.ts';
import type { CommandIo } from '../command-io.ts';
import { isRecord, jsonLine } from '../json-values.ts';
import type { Assignment } from '../option-values.ts';
import { oneLine } from '../output/plain-text.ts';
import { parameterHint, parameterText, parameterValue } from '../parameter-text.ts';
import type { ServiceClient } from '../service-client.ts';
import { type Common, withClient } from './run-reported.ts';

/* set, enable, disable: migration parameters and capabilities. One request changes all given values, or none. */

/** Changes migration parameters and prints their new values; without assignments prints all parameters. */
export function runSetCommand(
  command: Common & { readonly assignments: readonly Assignment[] },
  io: CommandIo,
): Promise<ExitStatus> {
  const { assignments, json } = command;
  return withClient({ ...command, operation: 'parameters' }, io, async (client) => {
    const now = await client.record({ method: 'GET', path: '/migrate/parameters' });
    const names = assignments.length === 0 ? Object.keys(now) : assignments.map(([name]) => name);
    const then = assignments.length === 0 ? now : await set(client, assignments, now);
    if (json) io.out(jsonLine(then));
    else io.out(names.map((name) => `${oneLine(`${name}=${parameterText(then[name] ?? '')}`)}\n`).join(''));
    return EXIT.done;
  });
}

async function set(
  client: ServiceClient,
  assignments: readonly Assignment[],
  now: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  const body = Object.fromEntries(assignments.map(([name, text]) => [name, parameterValue(name, text, now[name])]));
  try {
    return await client.record({ method: 'PATCH', path: '/migrate/parameters', body });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const hints = Object.entries(body).map(([name, value]) => parameterHint(name, value, now[name]));
    throw error.explained(hints.filter((hint) => hint !== null).map((hint) => `${hint}.`));
  }
}

/** Switches capabilities and prints their new states; without names prints all capabilities. */
export function runCapabilitiesCommand(
  command: Common & { readonly names: readonly string[]; readonly state: boolean },
  io: CommandIo,
): Promise<ExitStatus> {
  const { names, state, json } = command;
  return withClient({ ...command, operation: 'capabilities' }, io, async (client) => {
    const path = '/migrate/capabilities';
    const capabilities = names.map((capability) => ({ capability, state }));
    const answer = await client.ask(
      names.length === 0 ? { method: 'GET', path } : { method: 'PATCH', path, body: { capabilities } },
    );
    if (!Array.isArray(answer) || !answer.every(isRecord)) throw unexpectedAnswer('it has no list of capabilities');
    const shown = answer.filter(({ capability }) => names.length === 0 || names.includes(String(capability)));
    if (json) io.out(jsonLine(answer));
    else io.out(shown.map((entry) => `${oneLine(String(entry.capability))}: ${entry.state ? 'on' : 'off'}\n`).join(''));
    return EXIT.done;
  });
}
