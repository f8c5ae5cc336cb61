import * as table from '../../commands/dirty-rate.ts';
import type { MonitorCommand, Parameter } from '../command.ts';
import { LineError } from '../line-error.ts';

/* Dirty rate and dirty limits. */

const cpuIndex: Parameter = { name: 'cpu_index', type: 'integer', isOptional: true };

export const calcDirtyRate: MonitorCommand = {
  names: ['calc_dirty_rate'],
  flags: [
    { flag: 'r', name: 'ring' },
    { flag: 'b', name: 'bitmap' },
  ],
  parameters: [
    { name: 'second', type: 'integer' },
    { name: 'sample_pages_per_GB', type: 'integer', isOptional: true },
  ],
  help: 'begin to measure how fast the guest dirties its memory, for a number of seconds\n-r: by the dirty ring, -b: by the dirty bitmap; without them by samples of pages',
  run: async (call) => {
    if (call.flag('ring') && call.flag('bitmap')) {
      throw new LineError('calc_dirty_rate: -r and -b name two ways to measure; one is needed', 'calc_dirty_rate');
    }
    const { second, sample_pages_per_GB: samplePages } = call.values;
    await call.ask(table.calcDirtyRate, {
      'calc-time': second,
      ...(samplePages !== undefined && { 'sample-pages': samplePages }),
      mode: modeOf(call.flag('ring'), call.flag('bitmap')),
    });
    return `Starting dirty rate measurement with period ${second} seconds\n[Please use 'info dirty_rate' to check results]\n`;
  },
};

function modeOf(ring: boolean, bitmap: boolean): string {
  if (ring) return 'dirty-ring';
  return bitmap ? 'dirty-bitmap' : 'page-sampling';
}

export const setVcpuDirtyLimit: MonitorCommand = {
  names: ['set_vcpu_dirty_limit'],
  parameters: [{ name: 'dirty_rate', type: 'integer' }, cpuIndex],
  help: 'hold one vCPU, or all of them, to a rate at which it dirties memory, in MB/s',
  run: async (call) => {
    const { dirty_rate: rate } = call.values;
    await call.ask(table.setVcpuDirtyLimit, { 'dirty-rate': rate, ...cpuOf(call.values.cpu_index) });
    return QUERY_LIMITS;
  },
};

export const cancelVcpuDirtyLimit: MonitorCommand = {
  names: ['cancel_vcpu_dirty_limit'],
  parameters: [cpuIndex],
  help: 'let one vCPU, or all of them, dirty memory as fast as it can again',
  run: async (call) => {
    await call.ask(table.cancelVcpuDirtyLimit, cpuOf(call.values.cpu_index));
    return QUERY_LIMITS;
  },
};

const QUERY_LIMITS = "[Please use 'info vcpu_dirty_limit' to query dirty limit for virtual CPU]\n";

/** -1 is all of them, as in QEMU. */
function cpuOf(index: unknown): object {
  return index === undefined || index === -1 ? {} : { 'cpu-index': index };
}
