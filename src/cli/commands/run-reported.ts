import { type ExitStatus, Failure, failureObject, interruptStatus } from '../client-failure.ts';
import type { CommandIo } from '../command-io.ts';
import { jsonLine } from '../json-values.ts';
import { oneLine } from '../output/plain-text.ts';
import { type Service, ServiceClient } from '../service-client.ts';

/* Commands that send requests, print the answers and end. All of them report failures in the same way. */

/** Options that all such commands have. */
export type Common = { readonly service: Service; readonly json: boolean };

/** Text that begins an error message: the name of the command, or the operation that failed. */
type Reporting = { readonly operation: string; readonly json: boolean };

/** Runs a command with a client whose requests end at a signal. */
export function withClient(
  { service, ...reporting }: Common & Reporting,
  io: CommandIo,
  run: (client: ServiceClient) => Promise<ExitStatus>,
): Promise<ExitStatus> {
  return reported(reporting, io, () => run(new ServiceClient(service, io.interrupt)));
}

/** Runs a command. A failure is printed and gives the exit status; a signal gives the exit status of the signal. */
export async function reported(
  { operation, json }: Reporting,
  io: CommandIo,
  run: () => Promise<ExitStatus>,
): Promise<ExitStatus> {
  try {
    return await run();
  } catch (error) {
    if (io.interrupt.aborted) return interruptStatus(io.interrupt);
    if (!(error instanceof Failure)) throw error;
    if (json) io.out(jsonLine(failureObject(error)));
    else io.err(`vmferry: ${oneLine(`${operation}: ${error.message}`)}\n`);
    return error.exitStatus;
  }
}
