import { Type } from 'typebox';
import { ANNOUNCEMENT_OUTCOMES } from '../../domain/announce/announce.ts';
import { Int64, Text, Timestamp, Uuid } from './common.ts';
import { paging } from './history.ts';

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
