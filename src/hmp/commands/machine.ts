import * as dirtyRate from '../../commands/dirty-rate.ts';
import * as table from '../../commands/machine.ts';
import { announceSelf as announceSelfCommand } from '../../commands/machine.ts';
import { LineError } from '../line-reader.ts';
import type { MonitorCommand, Parameter } from '../monitor-command.ts';

/* Commands for the machine: run state, announcements, dirty rate and dirty limits. */

export const stop: MonitorCommand = {
  names: ['stop', 's'],
  help: 'stop the guest',
  run: async (call) => {
    await call.execute(table.stop);
    return '';
  },
};

export const cont: MonitorCommand = {
  names: ['cont', 'c'],
  help: 'resume the guest',
  run: async (call) => {
    await call.execute(table.cont);
    return '';
  },
};

/** Announces with the schedule of the announce-* parameters. */
export const announceSelf: MonitorCommand = {
  names: ['announce_self'],
  parameters: [
    { name: 'interfaces', type: 'string', isOptional: true },
    { name: 'id', type: 'string', isOptional: true },
  ],
  help: "announce the guest's location on all interfaces, or on those of a list with commas; id names the announcement",
  run: async (call) => {
    const { interfaces, id } = call.values;
    await call.executeShort(announceSelfCommand, {
      ...(typeof interfaces === 'string' && { interfaces: interfaces.split(',') }),
      ...(id !== undefined && { id }),
    });
    return '';
  },
};

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
  help: 'measure for a number of seconds how fast the guest dirties its memory\n-r: by the dirty ring, -b: by the dirty bitmap; without them by samples of pages',
  run: async (call) => {
    if (call.flag('ring') && call.flag('bitmap')) {
      throw new LineError('calc_dirty_rate: -r and -b exclude each other', 'calc_dirty_rate');
    }
    const { second, sample_pages_per_GB: samplePages } = call.values;
    await call.execute(dirtyRate.calcDirtyRate, {
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
  help: 'limit the rate at which one vCPU, or each of them, dirties memory, in MB/s',
  run: async (call) => {
    const { dirty_rate: rate } = call.values;
    await call.execute(dirtyRate.setVcpuDirtyLimit, { 'dirty-rate': rate, ...cpuOf(call.values.cpu_index) });
    return QUERY_LIMITS;
  },
};

export const cancelVcpuDirtyLimit: MonitorCommand = {
  names: ['cancel_vcpu_dirty_limit'],
  parameters: [cpuIndex],
  help: 'remove the dirty limit of one vCPU, or of all of them',
  run: async (call) => {
    await call.execute(dirtyRate.cancelVcpuDirtyLimit, cpuOf(call.values.cpu_index));
    return QUERY_LIMITS;
  },
};

const QUERY_LIMITS = "[Please use 'info vcpu_dirty_limit' to query dirty limit for virtual CPU]\n";

/** As in QEMU, -1 means all vCPUs. */
function cpuOf(index: unknown): object {
  return index === undefined || index === -1 ? {} : { 'cpu-index': index };
}
