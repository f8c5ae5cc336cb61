import * as dirtyRate from '../../commands/dirty-rate.ts';
import * as jobs from '../../commands/jobs.ts';
import * as machine from '../../commands/machine.ts';
import * as migrate from '../../commands/migrate.ts';
import * as service from '../../commands/service.ts';
import * as blockers from '../../commands/settings.ts';
import * as settings from '../../commands/settings.ts';
import * as snapshots from '../../commands/snapshots.ts';
import { dirtyLimitText, dirtyRateText, statusText } from '../formats/machine.ts';
import { migrateText } from '../formats/migrate.ts';
import { capabilitiesText, parametersText } from '../formats/settings.ts';
import { jobsText, snapshotsText } from '../formats/snapshots.ts';
import type { MonitorCommand } from '../monitor-command.ts';

/* The subcommands of `info`. */

export const INFO_COMMANDS: readonly MonitorCommand[] = [
  {
    names: ['dirty_rate'],
    help: 'the newest measurement of the dirty rate',
    run: async (call) => dirtyRateText(await call.execute(dirtyRate.queryDirtyRate)),
  },
  {
    names: ['jobs'],
    help: 'the jobs that have not been dismissed',
    run: async (call) => jobsText((await call.execute(jobs.queryAllJobs)).jobs),
  },
  {
    names: ['migrate'],
    flags: [{ flag: 'a', name: 'all' }],
    help: 'status and figures of the newest migration\n-a: also figures that are zero',
    run: async (call) => {
      const { 'only-migratable': isOnlyMigratable } = await call.execute(blockers.queryBlockers);
      return migrateText(await call.execute(migrate.queryMigrate), { withZeros: call.flag('all'), isOnlyMigratable });
    },
  },
  {
    names: ['migrate_capabilities'],
    help: 'the capabilities and their states',
    run: async (call) => capabilitiesText(await call.execute(settings.queryMigrateCapabilities)),
  },
  {
    names: ['migrate_parameters'],
    help: 'the parameters and their values',
    run: async (call) => parametersText(await call.execute(settings.queryMigrateParameters)),
  },
  {
    names: ['name'],
    help: 'the name of the machine',
    run: async (call) => `${(await call.execute(service.queryName)).name}\n`,
  },
  {
    names: ['snapshots'],
    help: 'the snapshots in the disk images',
    run: async (call) => snapshotsText(await call.execute(snapshots.queryVmSnapshots)),
  },
  {
    names: ['status'],
    help: 'whether the guest runs',
    run: async (call) => statusText(await call.execute(machine.queryStatus)),
  },
  {
    names: ['uuid'],
    help: 'the uuid of the machine',
    run: async (call) => `${(await call.execute(service.queryUuid)).UUID}\n`,
  },
  {
    names: ['vcpu_dirty_limit'],
    help: 'the dirty limits of the vCPUs',
    run: async (call) => dirtyLimitText(await call.execute(dirtyRate.queryVcpuDirtyLimit)),
  },
  {
    names: ['version'],
    help: 'the QEMU version whose commands these are',
    run: async (call) => {
      const { qemu, package: origin } = await call.execute(service.queryVersion);
      return `${qemu.major}.${qemu.minor}.${qemu.micro}${origin}\n`;
    },
  },
];
