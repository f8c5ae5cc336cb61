import { DomainError } from '../domain/errors.ts';
import { command } from './command.ts';
import { Empty } from './schemas/common.ts';
import {
  BalloonInfo,
  CommandLineArguments,
  CommandLineOptionInfoList,
  CpuDefinitionInfoList,
  CurrentMachineParams,
  HotpluggableCpuList,
  MachineInfoList,
  MemoryDeviceInfoList,
  PRManagerInfoList,
  QueryMachinesArguments,
  TpmModelList,
  TpmTypeList,
} from './schemas/probes.ts';

/* What clients written for QEMU ask to learn what a machine may be made of. The machine here is what it is: nothing is added. */

const common = { qapi: { returns: 'result' }, role: 'viewer' } as const;

export const queryMachines = command({
  ...common,
  name: 'query-machines',
  summary: 'The only type of machine that this service has: its own, as streams name it; none before an image has one',
  arguments: QueryMachinesArguments,
  result: MachineInfoList,
  run: ({ machine }, { 'compat-props': showsProperties = false }) => {
    const { machineName, vcpus } = machine.info();
    if (machineName === null) return [];
    return [
      {
        name: machineName,
        'is-default': true,
        'cpu-max': vcpus,
        'hotpluggable-cpus': false,
        'numa-mem-supported': false,
        deprecated: false,
        acpi: false,
        ...(showsProperties ? { 'compat-props': [] } : {}),
      },
    ];
  },
});

export const queryCurrentMachine = command({
  ...common,
  name: 'query-current-machine',
  summary: 'Whether the guest can be woken from suspend: it cannot',
  arguments: Empty,
  result: CurrentMachineParams,
  run: () => ({ 'wakeup-suspend-support': false }),
});

export const queryCpuDefinitions = command({
  ...common,
  name: 'query-cpu-definitions',
  summary: 'CPU models to choose from: there are none',
  arguments: Empty,
  result: CpuDefinitionInfoList,
  run: () => [],
});

export const queryHotpluggableCpus = command({
  ...common,
  name: 'query-hotpluggable-cpus',
  summary: 'CPUs that can be plugged in: refused, as by a machine without hotplug',
  arguments: Empty,
  result: HotpluggableCpuList,
  run: () => {
    throw new DomainError('hotplug_not_supported', 'This machine takes no further CPUs while it runs.');
  },
});

export const queryCommandLineOptions = command({
  ...common,
  name: 'query-command-line-options',
  summary: "QEMU's command line options: there are none, the service has flags of its own",
  arguments: CommandLineArguments,
  result: CommandLineOptionInfoList,
  run: (_domain, { option }) => {
    if (option === undefined) return [];
    const reason = `option is '${option}'; this service has none of QEMU's options`;
    throw new DomainError('value_out_of_range', `${reason}.`, { violations: [{ pointer: '/option', reason }] });
  },
});

export const queryBalloon = command({
  ...common,
  name: 'query-balloon',
  summary: 'Size of the balloon: refused, as by a machine without one',
  arguments: Empty,
  result: BalloonInfo,
  run: () => {
    throw new DomainError('no_balloon', 'This machine has no balloon device.');
  },
});

export const queryMemoryDevices = command({
  ...common,
  name: 'query-memory-devices',
  summary: 'Memory that was plugged in: there is none',
  arguments: Empty,
  result: MemoryDeviceInfoList,
  run: () => [],
});

export const queryPrManagers = command({
  ...common,
  name: 'query-pr-managers',
  summary: 'Managers of persistent reservations: there are none',
  arguments: Empty,
  result: PRManagerInfoList,
  run: () => [],
});

export const queryTpmModels = command({
  ...common,
  name: 'query-tpm-models',
  summary: 'TPM models to choose from: there are none',
  arguments: Empty,
  result: TpmModelList,
  run: () => [],
});

export const queryTpmTypes = command({
  ...common,
  name: 'query-tpm-types',
  summary: 'TPM backends to choose from: there are none',
  arguments: Empty,
  result: TpmTypeList,
  run: () => [],
});
