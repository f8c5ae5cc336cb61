import { parseSize } from '../../text/size.ts';
import { Failure, unexpectedAnswer } from '../client-failure.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { isRecord, parseExactJson } from '../json-values.ts';
import type { Assignment } from '../option-values.ts';
import { oneLine } from '../output/plain-text.ts';
import { parameterText, sizeHint } from '../parameter-text.ts';
import { PrintableStream } from '../printable-stream.ts';
import { failureOf, type ServiceClient } from '../service-client.ts';
import type { World } from '../world.ts';
import { type Common, guarded, jsonLine } from './service-command.ts';

/* stop, cont, console, workload: the guest itself. */

/** Stops the guest, or lets it go on, and prints its run state afterwards. */
export function runStopContCommand(command: Common & { readonly verb: 'stop' | 'cont' }, world: World) {
  const { verb, json } = command;
  return guarded({ ...command, what: verb }, world, async (client): Promise<ExitStatus> => {
    const status = await client.record({ method: 'POST', path: `/${verb}` });
    const state = `${status.running === true ? 'running' : 'stopped'} (${status.status})`;
    world.out(json ? jsonLine(status) : `${oneLine(state)}\n`);
    return EXIT.done;
  });
}

/** Prints the newest text that the guest has written to its console. */
export function runConsoleCommand(command: Common, world: World): Promise<ExitStatus> {
  return guarded({ ...command, what: 'console' }, world, async (client) => {
    const headers = { accept: 'text/plain, application/problem+json' };
    const answer = await client.answer({ method: 'GET', path: '/machine/console', headers });
    if (answer.status !== 200) throw failureOf(answer);
    if (command.json) world.out(jsonLine({ text: answer.text }));
    else world.out(new PrintableStream().take(Buffer.from(answer.text)));
    return EXIT.done;
  });
}

/** Members of a workload that count bytes. */
const SIZES: ReadonlySet<string> = new Set(['rate', 'span']);

/** Changes what the synthetic guest does; without assignments it prints that. */
export function runWorkloadCommand(
  command: Common & { readonly assignments: readonly Assignment[] },
  world: World,
): Promise<ExitStatus> {
  const { assignments, json } = command;
  return guarded({ ...command, what: 'workload' }, world, async (client) => {
    const workload = assignments.length === 0 ? await workloadOf(client) : await change(client, assignments);
    if (json) world.out(jsonLine(workload));
    else
      world.out(
        Object.entries(workload)
          .map(([name, value]) => `${oneLine(`${name}=${parameterText(value)}`)}\n`)
          .join(''),
      );
    return EXIT.done;
  });
}

async function workloadOf(client: ServiceClient): Promise<Readonly<Record<string, unknown>>> {
  const { workload, kind } = await client.record({ method: 'GET', path: '/machine' });
  if (workload === undefined)
    throw new Failure(EXIT.refused, `a machine of kind ${kind} has no workload`, 'no_workload');
  if (!isRecord(workload)) throw unexpectedAnswer('a workload was asked for');
  return workload;
}

async function change(
  client: ServiceClient,
  assignments: readonly Assignment[],
): Promise<Readonly<Record<string, unknown>>> {
  const body = Object.fromEntries(assignments.map(([name, text]) => [name, SIZES.has(name) ? sizeOf(text) : text]));
  try {
    return await client.record({ method: 'PATCH', path: '/machine/workload', body });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const unread = Object.keys(body).filter((name) => SIZES.has(name) && typeof body[name] === 'string');
    throw error.explained(unread.map((name) => `${sizeHint(name)}.`));
  }
}

/** The size with all its digits; what is none is handed on as text, for the service to refuse. */
function sizeOf(text: string): unknown {
  const bytes = parseSize(text, 'B');
  return typeof bytes === 'bigint' ? parseExactJson(String(bytes)) : text;
}
