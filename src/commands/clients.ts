import { command } from './command.ts';
import { BlockDeviceInfoList, BlockInfoList, NamedNodesArguments } from './schemas/block.ts';
import {
  BlockJobInfoList,
  ChardevInfoList,
  CpuInfoFastList,
  IOThreadInfoList,
  KvmInfo,
  MemoryInfo,
  TargetInfo,
} from './schemas/clients.ts';
import { Empty } from './schemas/common.ts';
import { blockDeviceView } from './views/block.ts';

/* Questions that clients written for QEMU ask when they connect; each has a command of QEMU's name. */

/** Streams of other architectures are refused, so that every machine here is one of these. */
const ARCHITECTURE = 'x86_64' as const;

const common = { qapi: { returns: 'result' }, role: 'viewer' } as const;

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
  summary: 'The vCPUs; the thread is that of the process, as Node does not tell the threads of its workers',
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
  summary: 'Jobs of single block devices: there are none, those of snapshots are in query-jobs',
  arguments: Empty,
  result: BlockJobInfoList,
  run: () => [],
});

export const queryIothreads = command({
  ...common,
  name: 'query-iothreads',
  summary: 'Threads that were made for I/O by name: there are none',
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
