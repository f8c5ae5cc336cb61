import type { Static } from 'typebox';
import type { AnnouncementRecord, AnnouncementRow } from '../domain/announce/announcer.ts';
import { command, shortForm } from './command.ts';
import { Empty } from './schemas/common.ts';
import { PAGE_LIMIT_DEFAULT } from './schemas/history.ts';
import {
  type Announcement,
  AnnouncementDetail,
  AnnouncementId,
  AnnouncementPage,
  AnnouncementsQuery,
  AnnounceParameters,
  AnnounceRequest,
  ConsoleText,
  Machine,
  StatusInfo,
  Workload,
  WorkloadChange,
} from './schemas/machine.ts';
import { machineView } from './views/machine.ts';

/* The machine: description, run state, console, workload and self-announcements. */

export const queryStatus = command({
  name: 'query-status',
  summary: 'Whether the guest runs, and its run state',
  qapi: { returns: 'result' },
  role: 'viewer',
  arguments: Empty,
  result: StatusInfo,
  run: (domain) => domain.machine.status(),
});

export const stop = command({
  name: 'stop',
  summary: 'Stop the guest',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: Empty,
  result: StatusInfo,
  run: async (domain) => {
    await domain.machine.stop();
    return domain.machine.status();
  },
});

export const cont = command({
  name: 'cont',
  summary: 'Resume the guest',
  qapi: { returns: 'nothing' },
  role: 'operator',
  arguments: Empty,
  result: StatusInfo,
  run: async (domain) => {
    await domain.machine.cont();
    return domain.machine.status();
  },
});

export const queryMachine = command({
  name: 'x-ferry-query-machine',
  summary: "Description of the machine, and its guest's counters",
  qapi: null,
  role: 'viewer',
  arguments: Empty,
  result: Machine,
  run: (domain) => machineView(domain.machine.info()),
});

export const queryConsole = command({
  name: 'x-ferry-query-console',
  summary: "The newest text of the guest's console",
  qapi: null,
  role: 'viewer',
  arguments: Empty,
  result: ConsoleText,
  run: (domain) => ({ text: domain.machine.console() }),
});

export const setWorkload = command({
  name: 'x-ferry-set-workload',
  summary: 'Change the workload of the synthetic guest while it runs',
  qapi: null,
  role: 'operator',
  arguments: WorkloadChange,
  result: Workload,
  run: (domain, change) => domain.machine.setWorkload(change as Parameters<typeof domain.machine.setWorkload>[0]),
  check: (domain, members) => domain.machine.checkWorkload(members),
});

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
