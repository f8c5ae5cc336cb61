import type { Static } from 'typebox';
import type { MachineInfo } from '../../domain/guest/guest-use-cases.ts';
import type { BlockNode, NodeSnapshot } from '../../domain/ports/block-nodes.ts';
import type { EventRecord } from '../../domain/ports/store.ts';
import type { BlockDeviceInfo } from '../schemas/block.ts';
import { EVENTS } from '../schemas/events.ts';
import type { Machine } from '../schemas/machine.ts';

/** The machine as HTTP shows it. Only a synthetic guest has the further members. */
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

const NS_PER_SECOND = 1_000_000_000n;
const NO_LIMITS = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };

/** A block device node as query-block and query-named-block-nodes describe it. */
export function blockDeviceView(node: BlockNode): Static<typeof BlockDeviceInfo> {
  const { name, path, diskBytes, snapshots } = node;
  return {
    file: path,
    'node-name': name,
    ro: node.isReadOnly,
    drv: 'qcow2',
    backing_file_depth: 0,
    active: node.isActive,
    encrypted: false,
    detect_zeroes: 'off',
    ...NO_LIMITS,
    image: {
      filename: path,
      format: 'qcow2',
      'dirty-flag': false,
      'virtual-size': diskBytes,
      ...(snapshots.length === 0 ? {} : { snapshots: snapshots.map(snapshotInfo) }),
    },
    cache: { writeback: true, direct: false, 'no-flush': false },
    write_threshold: 0,
  };
}

function snapshotInfo(snapshot: NodeSnapshot) {
  const { dateMs, clockNs, icount } = snapshot;
  const seconds = Math.floor(dateMs / 1000);
  return {
    id: snapshot.id,
    name: snapshot.tag,
    'vm-state-size': snapshot.vmStateBytes,
    'date-sec': seconds,
    'date-nsec': (dateMs - seconds * 1000) * 1_000_000,
    'vm-clock-sec': clockNs / NS_PER_SECOND,
    'vm-clock-nsec': clockNs % NS_PER_SECOND,
    ...(icount === null ? {} : { icount }),
  };
}

/** An event in the form of QMP, with the additional members that `GET /events` has. */
export function eventView({ name, data, at }: EventRecord): Record<string, unknown> {
  const timestamp = { seconds: Math.floor(at / 1000), microseconds: Math.floor((at % 1000) * 1000) };
  return { event: name, ...(data === null ? {} : { data }), timestamp };
}

/** An event as QMP sends it: data has only the members of the QAPI schema. */
export function qmpEventView({ data, ...event }: EventRecord): Record<string, unknown> {
  const known = Object.keys(EVENTS.get(event.name)?.properties ?? {});
  const shown = Object.entries(data ?? {}).filter(([member]) => known.includes(member));
  return eventView({ ...event, data: data === null ? null : Object.fromEntries(shown) });
}

/** Events that a QMP socket receives only while the capability `events` is on, as in QEMU. */
export const MIGRATION_EVENTS: ReadonlySet<string> = new Set(['MIGRATION', 'MIGRATION_PASS']);
