import { readFileSync } from 'node:fs';
import { type Family, one } from './metric-family.ts';
import { type EventLoopFigure, RESOLUTION_MS } from './running-figures.ts';

/* The process: CPU time since its start, threads, version. */

const PACKAGE_FILE = new URL('../../../package.json', import.meta.url);
const MICROSECONDS = 1e6;

export const PROCESS_FAMILIES: readonly Family[] = [
  {
    name: 'process_cpu_user_seconds_total',
    help: 'User CPU time of all threads since the start of the process.',
    kind: 'counter',
    of: () => one(process.cpuUsage().user / MICROSECONDS),
  },
  {
    name: 'process_cpu_system_seconds_total',
    help: 'System CPU time of all threads since the start of the process.',
    kind: 'counter',
    of: () => one(process.cpuUsage().system / MICROSECONDS),
  },
  {
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time of all threads since the start of the process.',
    kind: 'counter',
    of: () => {
      const { user, system } = process.cpuUsage();
      return one((user + system) / MICROSECONDS);
    },
  },
  {
    name: 'vmferry_build_info',
    help: 'Versions of vmferry and of Node; the value is 1.',
    kind: 'gauge',
    labels: ['version', 'node'],
    of: () => [{ labels: { version: packageVersion(), node: process.version }, value: 1 }],
  },
  {
    name: 'vmferry_workers',
    help: 'Worker threads of the process, by what they work on.',
    kind: 'gauge',
    labels: ['kind'],
    of: async ({ workers }) => {
      const byKind = Map.groupBy(await workers(), ({ kind }) => kind);
      const kinds = new Set([...WORKER_KINDS, ...byKind.keys()]);
      return [...kinds].map((kind) => ({ labels: { kind }, value: byKind.get(kind)?.length ?? 0 }));
    },
  },
  {
    name: 'vmferry_worker_memory_bytes',
    help: 'What worker threads hold beside the memory that they share, all of a kind together.',
    kind: 'gauge',
    labels: ['kind', 'part'],
    of: async ({ workers }) =>
      (await workers()).flatMap(({ kind, memory }) => {
        const parts: readonly (readonly [string, number | undefined])[] = [
          ['heap_total', memory?.heapBytes],
          ['heap_used', memory?.heapUsedBytes],
          ['external', memory?.externalBytes],
        ];
        return parts.flatMap(([part, bytes]) => one(bytes).map(({ value }) => ({ labels: { kind, part }, value })));
      }),
  },
];

const DELAY_HELP: Readonly<Record<EventLoopFigure, string>> = {
  min: 'The least',
  max: 'The most',
  mean: 'The mean',
  stddev: 'The standard deviation',
  p50: 'The median',
  p90: 'The 90th percentile',
  p99: 'The 99th percentile',
};

/** Delays of the main thread's event loop. */
export const EVENT_LOOP_FAMILIES: readonly Family[] = (Object.keys(DELAY_HELP) as EventLoopFigure[]).map((figure) => ({
  name: `nodejs_eventloop_lag_${figure}_seconds`,
  help: `${DELAY_HELP[figure]} of the delay of the event loop since the start of the process, looked at every ${RESOLUTION_MS} ms.`,
  kind: 'gauge',
  of: ({ eventLoop }) => {
    const value = eventLoop.read()?.[figure];
    return value === undefined ? [] : [{ value }];
  },
}));

const WORKER_KINDS = ['transfer', 'block', 'vcpu'];

let version: string | null = null;

function packageVersion(): string {
  version ??= (JSON.parse(readFileSync(PACKAGE_FILE, 'utf8')) as { readonly version: string }).version;
  return version;
}
