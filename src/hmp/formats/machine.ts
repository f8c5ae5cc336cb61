import type { Answer } from '../../commands/command.ts';
import type { DirtyLimitInfoList, DirtyRateInfo } from '../../commands/schemas/dirty-rate.ts';
import type { StatusInfo } from '../../commands/schemas/machine.ts';

/* `info status`, `info dirty_rate` and `info vcpu_dirty_limit`. */

/** The text of `info status`. The run state follows in brackets unless it is running or paused. */
export function statusText({ running, status }: Answer<typeof StatusInfo>): string {
  const more = status === 'running' || status === 'paused' ? '' : ` (${status})`;
  return `VM status: ${running ? 'running' : 'paused'}${more}\n`;
}

export type DirtyRate = Answer<typeof DirtyRateInfo>;

export function dirtyRateText(info: DirtyRate): string {
  const rate = info['dirty-rate'];
  const vcpus = info['vcpu-dirty-rate'] ?? [];
  const lines = [
    `Status: ${info.status}`,
    `Start Time: ${info['start-time']} (ms)`,
    ...(info.mode === 'page-sampling' ? [`Sample Pages: ${info['sample-pages']} (per GB)`] : []),
    `Period: ${info['calc-time']} (sec)`,
    `Mode: ${info.mode}`,
    `Dirty rate: ${rate === undefined ? '(not ready)' : `${rate} (MB/s)`}`,
    ...vcpus.map(({ id, 'dirty-rate': own }) => `vcpu[${id}], Dirty rate: ${own} (MB/s)`),
  ];
  return `${lines.join('\n')}\n`;
}

export function dirtyLimitText(limits: Answer<typeof DirtyLimitInfoList>): string {
  if (limits.length === 0) return 'Dirty page limit not enabled!\n';
  return limits
    .map(
      (limit) =>
        `vcpu[${limit['cpu-index']}], limit rate ${limit['limit-rate']} (MB/s), current rate ${limit['current-rate']} (MB/s)\n`,
    )
    .join('');
}
