import { DomainError } from '../domain/errors.ts';
import { command } from './command.ts';
import { BlockDeviceInfoList, BlockInfoList, NamedNodesArguments } from './schemas/block.ts';
import {
  BalloonInfo,
  BlockJobInfoList,
  ChardevInfoList,
  CommandLineArguments,
  CommandLineOptionInfoList,
  CpuDefinitionInfoList,
  CpuInfoFastList,
  CurrentMachineParams,
  HotpluggableCpuList,
  IOThreadInfoList,
  KvmInfo,
  MachineInfoList,
  MemoryDeviceInfoList,
  MemoryInfo,
  PRManagerInfoList,
  QueryMachinesArguments,
  TargetInfo,
  TpmModelList,
  TpmTypeList,
} from './schemas/client-queries.ts';
import { Empty } from './schemas/common.ts';
import { blockDeviceView } from './views/machine.ts';

/*
 * QEMU's queries that clients send when they connect, and queries about possible machine types, CPUs and devices. This machine has a
 * fixed configuration, so most lists are empty.
 */

const common = { qapi: { returns: 'result' }, role: 'viewer' } as const;

export const queryMachines = command({
  ...common,
  name: 'query-machines',
  summary: 'The machine type of this service, as streams name it; none before an image has been loaded',
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
  summary: 'CPU models: there are none',
  arguments: Empty,
  result: CpuDefinitionInfoList,
  run: () => [],
});

export const queryHotpluggableCpus = command({
  ...common,
  name: 'query-hotpluggable-cpus',
  summary: 'CPUs that can be hotplugged; always refused, because this machine does not support CPU hotplug',
  arguments: Empty,
  result: HotpluggableCpuList,
  run: () => {
    throw new DomainError('hotplug_not_supported', 'This machine does not support CPU hotplug.');
  },
});

export const queryCommandLineOptions = command({
  ...common,
  name: 'query-command-line-options',
  summary: "QEMU's command line options: there are none; the service has its own flags",
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
  summary: 'Size of the balloon; always refused, because this machine has no balloon device',
  arguments: Empty,
  result: BalloonInfo,
  run: () => {
    throw new DomainError('no_balloon', 'This machine has no balloon device.');
  },
});

export const queryMemoryDevices = command({
  ...common,
  name: 'query-memory-devices',
  summary: 'Plugged memory devices: there are none',
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
  summary: 'TPM models: there are none',
  arguments: Empty,
  result: TpmModelList,
  run: () => [],
});

export const queryTpmTypes = command({
  ...common,
  name: 'query-tpm-types',
  summary: 'TPM backends: there are none',
  arguments: Empty,
  result: TpmTypeList,
  run: () => [],
});

/** Architecture of every machine: streams of other architectures are refused. */
const ARCHITECTURE = 'x86_64' as const;

export const queryKvm = command({
  ...common,
  name: 'query-kvm',
  summary: 'Whether KVM runs the guest: it never does',
  arguments: Empty,
  result: KvmInfo,
  run: () => ({ enabled: false, present: false }),
});

export const queryTarget = command({
  ...common,
  name: 'query-target',
  summary: 'Architecture of the machine',
  arguments: Empty,
  result: TargetInfo,
  run: () => ({ arch: ARCHITECTURE }),
});

export const queryCpusFast = command({
  ...common,
  name: 'query-cpus-fast',
  summary: 'The vCPUs. thread-id is the process, because Node does not report the thread ids of its workers',
  arguments: Empty,
  result: CpuInfoFastList,
  run: ({ machine }) =>
    Array.from({ length: machine.info().vcpus }, (_, index) => ({
      'cpu-index': index,
      'qom-path': `/machine/unattached/device[${index}]`,
      'thread-id': process.pid,
      props: { 'socket-id': 0, 'core-id': index, 'thread-id': 0 },
      target: ARCHITECTURE,
    })),
});

export const queryBlock = command({
  ...common,
  name: 'query-block',
  summary: 'The block devices, each with its image',
  arguments: Empty,
  result: BlockInfoList,
  run: ({ snapshots }) =>
    snapshots.nodes().map((node) => ({
      device: '',
      qdev: node.name,
      type: 'unknown',
      removable: false,
      locked: false,
      inserted: blockDeviceView(node),
      'io-status': 'ok' as const,
    })),
});

export const queryNamedBlockNodes = command({
  ...common,
  name: 'query-named-block-nodes',
  summary: 'The block device nodes',
  arguments: NamedNodesArguments,
  result: BlockDeviceInfoList,
  run: ({ snapshots }) => snapshots.nodes().map(blockDeviceView),
});

export const queryBlockJobs = command({
  ...common,
  name: 'query-block-jobs',
  summary: 'Jobs of single block devices: there are none; query-jobs has the snapshot jobs',
  arguments: Empty,
  result: BlockJobInfoList,
  run: () => [],
});

export const queryIothreads = command({
  ...common,
  name: 'query-iothreads',
  summary: 'I/O threads: there are none',
  arguments: Empty,
  result: IOThreadInfoList,
  run: () => [],
});

export const queryChardev = command({
  ...common,
  name: 'query-chardev',
  summary: 'Character devices: there are none',
  arguments: Empty,
  result: ChardevInfoList,
  run: () => [],
});

export const queryMemorySizeSummary = command({
  ...common,
  name: 'query-memory-size-summary',
  summary: 'Bytes of RAM',
  arguments: Empty,
  result: MemoryInfo,
  run: ({ machine }) => ({
    'base-memory': machine.info().ramBlocks.reduce((sum, { bytes }) => sum + bytes, 0),
    'plugged-memory': 0,
  }),
});
