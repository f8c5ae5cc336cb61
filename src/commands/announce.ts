import type { Static } from 'typebox';
import type { AnnouncementRecord, AnnouncementRow } from '../domain/announce/announce.ts';
import { command, shortForm } from './command.ts';
import {
  type Announcement,
  AnnouncementDetail,
  AnnouncementId,
  AnnouncementPage,
  AnnouncementsQuery,
  AnnounceParameters,
  AnnounceRequest,
} from './schemas/announce.ts';
import { PAGE_LIMIT_DEFAULT } from './schemas/history.ts';

/* Self-announcements: the network learns where the guest is. */

export const announceSelf = command({
  name: 'announce-self',
  summary: "Announce the guest's location to the network, in rounds",
  qapi: { returns: 'nothing' },
  role: 'operator',
  begins: true,
  arguments: AnnounceParameters,
  result: AnnouncementDetail,
  run: ({ announcements }, request) => detailView(announcements.announce(request)),
  short: shortForm(AnnounceRequest, ({ announcements }, given) => ({ ...announcements.schedule(), ...given })),
});

export const queryAnnouncements = command({
  name: 'x-ferry-query-announcements',
  summary: 'The announcements, by command and after migrations, newest first',
  qapi: null,
  role: 'viewer',
  arguments: AnnouncementsQuery,
  result: AnnouncementPage,
  run: ({ announcements }, { limit = PAGE_LIMIT_DEFAULT, cursor = null }) => {
    const page = announcements.list({ limit, cursor });
    return { announcements: page.items.map(rowView), next: page.next };
  },
});

export const queryAnnouncement = command({
  name: 'x-ferry-query-announcement',
  summary: 'One announcement, with the time of each round',
  qapi: null,
  role: 'viewer',
  arguments: AnnouncementId,
  result: AnnouncementDetail,
  run: ({ announcements }, { id }) => detailView(announcements.get(id)),
});

function rowView(row: AnnouncementRow): Static<typeof Announcement> {
  return {
    id: String(row.id),
    name: row.name,
    migration: row.migrationId,
    interfaces: row.interfaces === null ? null : [...row.interfaces],
    schedule: row.schedule,
    'started-at': isoTime(row.startedAt),
    'ended-at': row.endedAt === null ? null : isoTime(row.endedAt),
    outcome: row.outcome,
    'rounds-made': row.roundsMade,
  };
}

function detailView(record: AnnouncementRecord): Static<typeof AnnouncementDetail> {
  return { ...rowView(record), rounds: record.rounds.map(({ round, at }) => ({ round, at: isoTime(at) })) };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
