import { Type } from 'typebox';
import { Int64, Uuid } from './common.ts';

/* StatusInfo of the QAPI schema, and the machine as vmferry describes it. */

/** RunState of the QAPI schema: all of it, so that a client written for QEMU finds what it knows. */
export const RunState = Type.Enum([
  'debug',
  'inmigrate',
  'internal-error',
  'io-error',
  'paused',
  'postmigrate',
  'prelaunch',
  'finish-migrate',
  'restore-vm',
  'running',
  'save-vm',
  'shutdown',
  'suspended',
  'watchdog',
  'guest-panicked',
  'colo',
]);

export const StatusInfo = Type.Object({ running: Type.Boolean(), status: RunState });

const Pattern = Type.Enum(['hot', 'seq', 'random']);

export const Workload = Type.Object({
  rate: Int64({ description: 'Bytes dirtied in a second, all vCPUs together; 0 is idle.' }),
  span: Int64({ description: 'Bytes of RAM that are touched.' }),
  pattern: Pattern,
  fill: Type.Optional(Type.String({ description: 'What RAM held at the start.' })),
  check: Type.Optional(
    Type.Union([Int64(), Type.Literal('auto')], { description: 'Bytes/s that the guest reads and checks.' }),
  ),
});

/** Any part of the workload; what is left out stays as it is. */
export const WorkloadChange = Type.Object(
  { rate: Type.Optional(Int64()), span: Type.Optional(Int64()), pattern: Type.Optional(Pattern) },
  { additionalProperties: false },
);

export const GuestPanic = Type.Object({
  kind: Type.String({ description: 'A stable word: lost, torn, stale, misplaced, …' }),
  address: Type.Union([Int64(), Type.Null()], { description: 'Guest physical address of the page.' }),
  detail: Type.String(),
});

export const RamBlock = Type.Object({ name: Type.String(), size: Int64({ description: 'Bytes.' }) });

export const Machine = Type.Object({
  kind: Type.Enum(['synthetic', 'image', 'qemu']),
  name: Type.String(),
  uuid: Uuid(),
  'ram-blocks': Type.Array(RamBlock),
  vcpus: Int64(),
  ticks: Type.Optional(Int64({ description: 'Counted by the guest; no migration resets them.' })),
  'pages-checked': Type.Optional(Int64()),
  'pages-written': Type.Optional(Int64()),
  'disk-writes': Type.Optional(Int64({ description: 'Blocks that the guest wrote to its disk.' })),
  'disk-checks': Type.Optional(Int64({ description: 'Blocks of its disk that it read and found sound.' })),
  panic: Type.Optional(Type.Union([GuestPanic, Type.Null()])),
  workload: Type.Optional(Workload),
});

export const ConsoleText = Type.Object({ text: Type.String({ description: 'The newest 4 KiB.' }) });
