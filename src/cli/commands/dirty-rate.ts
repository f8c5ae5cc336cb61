import { Failure } from '../client-failure.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { isRecord, numberOf } from '../json-values.ts';
import { oneLine } from '../output/plain-text.ts';
import type { World } from '../world.ts';
import { type Common, guarded, jsonLine } from './service-command.ts';

/* dirty-rate: how fast the guest writes to its memory. */

export type DirtyRateCommand = Common & {
  /** Null: nothing is measured, and the newest result is printed. */
  readonly measure: Readonly<Record<string, unknown>> | null;
};

type Info = Readonly<Record<string, unknown>>;

/** Between two looks for the result. */
const LOOK_MS = 100;
const IN_MILLISECONDS = '/dirty-rate?calc-time-unit=millisecond';

/** Measures and waits for the result. A measurement cannot be ended: Ctrl-C ends the wait for it only. */
export function runDirtyRateCommand(command: DirtyRateCommand, world: World): Promise<ExitStatus> {
  const { measure, json } = command;
  return guarded({ ...command, what: 'dirty-rate' }, world, async (client) => {
    if (measure !== null) await client.ask({ method: 'POST', path: '/dirty-rate', body: measure });
    let info: Info = await client.record({ method: 'GET', path: IN_MILLISECONDS });
    while (info.status === 'measuring') {
      await world.clock.wait(LOOK_MS, world.interrupt);
      world.interrupt.throwIfAborted();
      info = await client.record({ method: 'GET', path: IN_MILLISECONDS });
    }
    if (info.status !== 'measured') throw new Failure(EXIT.failed, 'nothing has been measured yet');
    world.out(json ? jsonLine(info) : textOf(info));
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
