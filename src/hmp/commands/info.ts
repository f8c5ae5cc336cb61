import * as blockers from '../../commands/blockers.ts';
import * as dirtyRate from '../../commands/dirty-rate.ts';
import * as jobs from '../../commands/jobs.ts';
import * as machine from '../../commands/machine.ts';
import * as migrate from '../../commands/migrate.ts';
import * as service from '../../commands/service.ts';
import * as settings from '../../commands/settings.ts';
import * as snapshots from '../../commands/snapshots.ts';
import type { MonitorCommand } from '../command.ts';
import { dirtyLimitText, dirtyRateText } from '../formats/dirty-rate.ts';
import { jobsText } from '../formats/jobs.ts';
import { migrateText } from '../formats/migrate.ts';
import { capabilitiesText, parametersText } from '../formats/settings.ts';
import { snapshotsText } from '../formats/snapshots.ts';
import { statusText } from '../formats/status.ts';

/* What stands behind `info`. */

export const INFO_COMMANDS: readonly MonitorCommand[] = [
  {
    names: ['dirty_rate'],
    help: 'how fast the guest dirties its memory, as it was measured last',
    run: async (call) => dirtyRateText(await call.ask(dirtyRate.queryDirtyRate)),
  },
  {
    names: ['jobs'],
    help: 'the jobs that were not dismissed',
    run: async (call) => jobsText((await call.ask(jobs.queryAllJobs)).jobs),
  },
  {
    names: ['migrate'],
    flags: [{ flag: 'a', name: 'all' }],
    help: 'how the newest migration stands\n-a: figures that are zero too',
    run: async (call) => {
      const { 'only-migratable': isOnlyMigratable } = await call.ask(blockers.queryBlockers);
      return migrateText(await call.ask(migrate.queryMigrate), { withZeros: call.flag('all'), isOnlyMigratable });
    },
  },
  {
    names: ['migrate_capabilities'],
    help: 'every capability and whether it is on',
    run: async (call) => capabilitiesText(await call.ask(settings.queryMigrateCapabilities)),
  },
  {
    names: ['migrate_parameters'],
    help: 'the parameters and their values',
    run: async (call) => parametersText(await call.ask(settings.queryMigrateParameters)),
  },
  {
    names: ['name'],
    help: 'the name of the machine',
    run: async (call) => `${(await call.ask(service.queryName)).name}\n`,
  },
  {
    names: ['snapshots'],
    help: 'the snapshots that the disks hold',
    run: async (call) => snapshotsText(await call.ask(snapshots.queryVmSnapshots)),
  },
  {
    names: ['status'],
    help: 'whether the guest runs',
    run: async (call) => statusText(await call.ask(machine.queryStatus)),
  },
  {
    names: ['uuid'],
    help: 'the uuid of the machine',
    run: async (call) => `${(await call.ask(service.queryUuid)).UUID}\n`,
  },
  {
    names: ['vcpu_dirty_limit'],
    help: 'the rates that vCPUs are held to',
    run: async (call) => dirtyLimitText(await call.ask(dirtyRate.queryVcpuDirtyLimit)),
  },
  {
    names: ['version'],
    help: 'the QEMU version whose commands these are',
    run: async (call) => {
      const { qemu, package: origin } = await call.ask(service.queryVersion);
      return `${qemu.major}.${qemu.minor}.${qemu.micro}${origin}\n`;
    },
  },
];
