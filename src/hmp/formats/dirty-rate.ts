/* `info dirty_rate` and `info vcpu_dirty_limit`. */

type Amount = number | bigint;

/** DirtyRateInfo of the QAPI schema. */
export type DirtyRate = {
  readonly status: string;
  readonly 'start-time': Amount;
  readonly 'calc-time': Amount;
  readonly 'sample-pages': Amount;
  readonly mode: string;
  readonly 'dirty-rate'?: Amount;
  readonly 'vcpu-dirty-rate'?: readonly { readonly id: Amount; readonly 'dirty-rate': Amount }[];
};

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

/** DirtyLimitInfo of the QAPI schema. */
export type DirtyLimit = {
  readonly 'cpu-index': Amount;
  readonly 'limit-rate': Amount;
  readonly 'current-rate': Amount;
};

export function dirtyLimitText(limits: readonly DirtyLimit[]): string {
  if (limits.length === 0) return 'Dirty page limit not enabled!\n';
  return limits
    .map(
      (limit) =>
        `vcpu[${limit['cpu-index']}], limit rate ${limit['limit-rate']} (MB/s), current rate ${limit['current-rate']} (MB/s)\n`,
    )
    .join('');
}
