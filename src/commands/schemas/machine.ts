import { Type } from 'typebox';
import { ANNOUNCEMENT_OUTCOMES } from '../../domain/announce/announce.ts';
import { Int64, Text, Timestamp, Uuid } from './common.ts';
import { paging } from './history.ts';

/* StatusInfo of the QAPI schema, the machine as vmferry describes it, and its self-announcements. */

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

/* Self-announcements. Times are ISO 8601 in UTC, delays milliseconds. */

const INTERFACES_MAX = 256;

const closed = { additionalProperties: false } as const;
const orNull = <S extends Parameters<typeof Type.Array>[0]>(schema: S) => Type.Union([schema, Type.Null()]);

const initial = Int64({ description: 'From the first round, which is made at once, to the second.' });
const max = Int64({ description: 'The longest delay.' });
const rounds = Int64({ description: 'Rounds in all; 0: none; negative: until another of this id begins.' });
const step = Int64({ description: 'What each delay is longer than the one before.' });

const others = {
  interfaces: Type.Optional(
    Type.Array(Text(), {
      maxItems: INTERFACES_MAX,
      description: 'Those that are meant; default: all. Names that the machine does not have are let be.',
    }),
  ),
  id: Type.Optional(Text('Names the announcement: another with this id takes its place. Default: empty.')),
};

export const AnnounceParameters = Type.Object({ initial, max, rounds, step, ...others }, closed);

/** The same with what the announce-* parameters say in the place of what is left out. */
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
  id: Type.String({ description: 'A number that grows with each.' }),
  name: orNull(Type.String({ description: 'The id it was given; null for one that a migration made.' })),
  migration: orNull(Uuid({ description: 'The migration that brought the guest.' })),
  interfaces: orNull(Type.Array(Type.String(), { description: 'Null: all.' })),
  schedule: AnnounceSchedule,
  'started-at': Timestamp(),
  'ended-at': orNull(Timestamp()),
  outcome: Type.Enum([...ANNOUNCEMENT_OUTCOMES], {
    description: 'replaced: by another of its id; stopped: with the service; unknown: the process died before its end.',
  }),
  'rounds-made': Int64(),
});

export const AnnouncementRound = Type.Object({ round: Int64(), at: Timestamp() });

export const AnnouncementDetail = Type.Object({
  ...Announcement.properties,
  rounds: Type.Array(AnnouncementRound, { description: 'The first 1000.' }),
});

export const AnnouncementPage = Type.Object({
  announcements: Type.Array(Announcement),
  next: orNull(Type.String({ description: 'Cursor of the next page, or null at the end.' })),
});

export const AnnouncementsQuery = Type.Object({ ...paging }, closed);

export const AnnouncementId = Type.Object({ id: Text('Identifier of an announcement.') }, closed);
