import { Type } from 'typebox';
import { ANNOUNCEMENT_OUTCOMES } from '../../domain/announce/announcer.ts';
import { Int64, Text, Timestamp, Uuid } from './common.ts';
import { paging } from './history.ts';

/* StatusInfo of the QAPI schema, vmferry's description of the machine, and its self-announcements. */

/** RunState of the QAPI schema. It also has states that vmferry never reports, so that clients of QEMU find the whole type. */
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
  rate: Int64({ description: 'Bytes per second that all vCPUs together dirty; 0 is idle.' }),
  span: Int64({ description: 'Bytes of RAM that the workload uses.' }),
  pattern: Pattern,
  fill: Type.Optional(Type.String({ description: 'The initial content of RAM.' })),
  check: Type.Optional(
    Type.Union([Int64(), Type.Literal('auto')], { description: 'Bytes per second that the guest reads and checks.' }),
  ),
});

/** A change of the workload. Omitted members keep their values. */
export const WorkloadChange = Type.Object(
  { rate: Type.Optional(Int64()), span: Type.Optional(Int64()), pattern: Type.Optional(Pattern) },
  { additionalProperties: false },
);

export const GuestPanic = Type.Object({
  kind: Type.String({ description: 'A stable identifier of the kind of damage: lost, torn, stale, misplaced, …' }),
  address: Type.Union([Int64(), Type.Null()], { description: 'Guest physical address of the page.' }),
  detail: Type.String(),
});

export const RamBlock = Type.Object({ name: Type.String(), size: Int64({ description: 'Size in bytes.' }) });

export const Machine = Type.Object({
  kind: Type.Enum(['synthetic', 'image', 'qemu']),
  name: Type.String(),
  uuid: Uuid(),
  'ram-blocks': Type.Array(RamBlock),
  vcpus: Int64(),
  ticks: Type.Optional(Int64({ description: 'A counter of the guest. Migrations do not reset it.' })),
  'pages-checked': Type.Optional(Int64()),
  'pages-written': Type.Optional(Int64()),
  'disk-writes': Type.Optional(Int64({ description: 'Number of blocks that the guest has written to its disk.' })),
  'disk-checks': Type.Optional(
    Int64({ description: 'Number of blocks that the guest has read from its disk and found correct.' }),
  ),
  panic: Type.Optional(Type.Union([GuestPanic, Type.Null()])),
  workload: Type.Optional(Workload),
});

export const ConsoleText = Type.Object({ text: Type.String({ description: 'The newest 4 KiB of the console.' }) });

/* Self-announcements. Times are ISO 8601 in UTC, delays are in milliseconds. */

const INTERFACES_MAX = 256;

const closed = { additionalProperties: false } as const;
const orNull = <S extends Parameters<typeof Type.Array>[0]>(schema: S) => Type.Union([schema, Type.Null()]);

const initial = Int64({
  description: 'Milliseconds from the first round to the second. The first round is made immediately.',
});
const max = Int64({ description: 'The longest delay between two rounds, in milliseconds.' });
const rounds = Int64({
  description: 'Number of rounds. 0: none. Negative: rounds continue until another announcement with this id starts.',
});
const step = Int64({ description: 'Milliseconds by which each delay is longer than the one before.' });

const others = {
  interfaces: Type.Optional(
    Type.Array(Text(), {
      maxItems: INTERFACES_MAX,
      description: 'The network interfaces to announce. Default: all. Unknown names are ignored.',
    }),
  ),
  id: Type.Optional(Text('Id of the announcement. A later announcement with this id replaces it. Default: empty.')),
};

export const AnnounceParameters = Type.Object({ initial, max, rounds, step, ...others }, closed);

/** The same arguments, all optional. The announce-* parameters give the values of omitted members. */
export const AnnounceRequest = Type.Object(
  {
    initial: Type.Optional(initial),
    max: Type.Optional(max),
    rounds: Type.Optional(rounds),
    step: Type.Optional(step),
    ...others,
  },
  closed,
);

export const AnnounceSchedule = Type.Object({ initial, max, rounds, step });

export const Announcement = Type.Object({
  id: Type.String({ description: 'A number that increases with each announcement.' }),
  name: orNull(Type.String({ description: 'The id of the request; null if a migration made the announcement.' })),
  migration: orNull(Uuid({ description: 'The incoming migration that made the announcement.' })),
  interfaces: orNull(Type.Array(Type.String(), { description: 'The announced interfaces; null: all.' })),
  schedule: AnnounceSchedule,
  'started-at': Timestamp(),
  'ended-at': orNull(Timestamp()),
  outcome: Type.Enum([...ANNOUNCEMENT_OUTCOMES], {
    description:
      'replaced: by a later announcement with its id. stopped: the service ended. unknown: the process died before its end.',
  }),
  'rounds-made': Int64(),
});

export const AnnouncementRound = Type.Object({ round: Int64(), at: Timestamp() });

export const AnnouncementDetail = Type.Object({
  ...Announcement.properties,
  rounds: Type.Array(AnnouncementRound, { description: 'The first 1000 rounds.' }),
});

export const AnnouncementPage = Type.Object({
  announcements: Type.Array(Announcement),
  next: orNull(Type.String({ description: 'Cursor of the next page, or null at the end.' })),
});

export const AnnouncementsQuery = Type.Object({ ...paging }, closed);

export const AnnouncementId = Type.Object({ id: Text('Identifier of an announcement.') }, closed);
