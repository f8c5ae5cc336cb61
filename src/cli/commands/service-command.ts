import { Failure } from '../client-failure.ts';
import type { ExitStatus } from '../exit-status.ts';
import { oneLine } from '../output/plain-text.ts';
import { type Service, ServiceClient } from '../service-client.ts';
import { interruptStatus } from '../waiting.ts';
import type { World } from '../world.ts';

/* Commands that ask, print and end: what goes wrong in them is told in one way. */

/** What all such commands are given. */
export type Common = { readonly service: Service; readonly json: boolean };

/** Runs a command whose requests end with a signal; `what` says in an error what was being done. */
export async function guarded(
  { service, json, what }: Common & { readonly what: string },
  world: World,
  run: (client: ServiceClient) => Promise<ExitStatus>,
): Promise<ExitStatus> {
  try {
    return await run(new ServiceClient(service, world.interrupt));
  } catch (error) {
    if (world.interrupt.aborted) return interruptStatus(world.interrupt);
    if (!(error instanceof Failure)) throw error;
    if (json) world.out(jsonLine(failureObject(error)));
    else world.err(`vmferry: ${oneLine(`${what}: ${error.message}`)}\n`);
    return error.exitStatus;
  }
}

/** A failure as --json tells it. */
export function failureObject({ exitStatus, code, message }: Failure): object {
  return { type: 'error', 'exit-status': exitStatus, code, detail: message };
}

/** A JSON document on a line of its own. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
