import { Failure } from '../client-failure.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { isRecord } from '../json-values.ts';
import { oneLine } from '../output/plain-text.ts';
import { type Service, ServiceClient } from '../service-client.ts';
import { interruptStatus } from '../waiting.ts';
import type { World } from '../world.ts';
import { jsonLine } from './service-command.ts';

/* version: of this program, and of the service if one answers. */

const ANSWER_MS_MAX = 2000;

/** That no service answers is no failure: the version of this program was printed. */
export async function runVersionCommand(
  command: { readonly service: Service; readonly json: boolean },
  world: World,
): Promise<ExitStatus> {
  const { service, json } = command;
  if (!json) world.out(`vmferry ${world.version}\n`);
  const found = await serviceVersion(service, world);
  if (world.interrupt.aborted) return interruptStatus(world.interrupt);
  if (json) world.out(jsonLine({ version: world.version, service: found }));
  else if (found !== null) world.out(`${oneLine(`service ${found} at ${service.url.origin}`)}\n`);
  return EXIT.done;
}

async function serviceVersion(service: Service, world: World): Promise<string | null> {
  try {
    const client = new ServiceClient(service, world.interrupt);
    const { info } = await client.record({ method: 'GET', path: '/openapi.json', deadlineMs: ANSWER_MS_MAX });
    return isRecord(info) && typeof info.version === 'string' ? info.version : null;
  } catch (error) {
    if (error instanceof Failure || world.interrupt.aborted) return null;
    throw error;
  }
}
