import type { Static } from 'typebox';
import type { MachineInfo } from '../../domain/guest/guest-use-cases.ts';
import type { Machine } from '../schemas/machine.ts';

/** The machine as the outside sees it: what only a synthetic guest has lies beside the rest. */
export function machineView(info: MachineInfo): Static<typeof Machine> {
  const { kind, name, uuid, vcpus, guest } = info;
  const ramBlocks = info.ramBlocks.map((block) => ({ name: block.name, size: block.bytes }));
  const common = { kind, name, uuid, 'ram-blocks': ramBlocks, vcpus };
  if (guest === null) return common;
  return {
    ...common,
    ticks: guest.ticks,
    'pages-checked': guest.pagesChecked,
    'pages-written': guest.pagesWritten,
    ...(guest.disk === null ? {} : { 'disk-writes': guest.disk.writes, 'disk-checks': guest.disk.checks }),
    panic: guest.panic,
    workload: guest.workload,
  };
}
