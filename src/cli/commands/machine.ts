import { parseSize } from '../../text/size.ts';
import { EXIT, type ExitStatus, Failure, unexpectedAnswer } from '../client-failure.ts';
import type { CommandIo } from '../command-io.ts';
import { isRecord, jsonLine, numberOf, parseExactJson } from '../json-values.ts';
import type { Assignment } from '../option-values.ts';
import { oneLine, PrintableStream } from '../output/plain-text.ts';
import { parameterText, sizeHint } from '../parameter-text.ts';
import { failureOf, type ServiceClient } from '../service-client.ts';
import { type Common, withClient } from './run-reported.ts';

/* stop, cont, console, workload, dirty-rate: the guest of the machine. */

/** Stops or resumes the guest and prints its run state afterwards. */
export function runStopContCommand(command: Common & { readonly verb: 'stop' | 'cont' }, io: CommandIo) {
  const { verb, json } = command;
  return withClient({ ...command, operation: verb }, io, async (client): Promise<ExitStatus> => {
    const status = await client.record({ method: 'POST', path: `/${verb}` });
    const state = `${status.running === true ? 'running' : 'stopped'} (${status.status})`;
    io.out(json ? jsonLine(status) : `${oneLine(state)}\n`);
    return EXIT.done;
  });
}

/** Prints the latest text that the guest has written to its console. */
export function runConsoleCommand(command: Common, io: CommandIo): Promise<ExitStatus> {
  return withClient({ ...command, operation: 'console' }, io, async (client) => {
    const headers = { accept: 'text/plain, application/problem+json' };
    const answer = await client.answer({ method: 'GET', path: '/machine/console', headers });
    if (answer.status !== 200) throw failureOf(answer);
    if (command.json) io.out(jsonLine({ text: answer.text }));
    else io.out(new PrintableStream().take(Buffer.from(answer.text)));
    return EXIT.done;
  });
}

/** Members of a workload that count bytes. */
const SIZES: ReadonlySet<string> = new Set(['rate', 'span']);

/** Changes the workload of the synthetic guest; without assignments prints it. */
export function runWorkloadCommand(
  command: Common & { readonly assignments: readonly Assignment[] },
  io: CommandIo,
): Promise<ExitStatus> {
  const { assignments, json } = command;
  return withClient({ ...command, operation: 'workload' }, io, async (client) => {
    const workload = assignments.length === 0 ? await workloadOf(client) : await change(client, assignments);
    if (json) io.out(jsonLine(workload));
    else
      io.out(
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
  if (!isRecord(workload)) throw unexpectedAnswer('it has no workload');
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

/** The size with all its digits. A text that is not a size is sent unchanged, and the service refuses it. */
function sizeOf(text: string): unknown {
  const bytes = parseSize(text, 'B');
  return typeof bytes === 'bigint' ? parseExactJson(String(bytes)) : text;
}

export type DirtyRateCommand = Common & {
  /** Members of the request; null: no measurement, the last result is printed. */
  readonly measure: Readonly<Record<string, unknown>> | null;
};

type Info = Readonly<Record<string, unknown>>;

/** Pause between two requests for the result, in milliseconds. */
const LOOK_MS = 100;
const IN_MILLISECONDS = '/dirty-rate?calc-time-unit=millisecond';

/** Measures, waits and prints the result. Ctrl-C ends the wait; the measurement itself cannot be cancelled. */
export function runDirtyRateCommand(command: DirtyRateCommand, io: CommandIo): Promise<ExitStatus> {
  const { measure, json } = command;
  return withClient({ ...command, operation: 'dirty-rate' }, io, async (client) => {
    if (measure !== null) await client.ask({ method: 'POST', path: '/dirty-rate', body: measure });
    let info: Info = await client.record({ method: 'GET', path: IN_MILLISECONDS });
    while (info.status === 'measuring') {
      await io.clock.wait(LOOK_MS, io.interrupt);
      io.interrupt.throwIfAborted();
      info = await client.record({ method: 'GET', path: IN_MILLISECONDS });
    }
    if (info.status !== 'measured') throw new Failure(EXIT.failed, 'nothing has been measured yet');
    io.out(json ? jsonLine(info) : textOf(info));
    return EXIT.done;
  });
}

function textOf(info: Info): string {
  const seconds = (numberOf(info['calc-time']) ?? 0) / 1000;
  const vcpus = info['vcpu-dirty-rate'];
  const lines = [
    `${numberOf(info['dirty-rate'])} MiB/s (${info.mode}, in ${seconds} s)`,
    ...(Array.isArray(vcpus) ? vcpus : [])
      .filter(isRecord)
      .map((vcpu) => `vCPU ${numberOf(vcpu.id)}: ${numberOf(vcpu['dirty-rate'])} MiB/s`),
  ];
  return lines.map((line) => `${oneLine(line)}\n`).join('');
}
