import type {
  AnnouncementOutcome,
  AnnouncementRecord,
  AnnouncementRepository,
  AnnouncementRow,
  AnnounceSchedule,
} from '../domain/announce/announcer.ts';
import { readExactJson, writeExactJson } from '../domain/exact-json.ts';
import { type Connection, counter, inTransaction } from './database-file.ts';
import { OrderedList } from './row-order.ts';

type Row = {
  readonly id: number;
  readonly name: string | null;
  readonly migration_id: string | null;
  readonly interfaces_json: string | null;
  readonly schedule_json: string;
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly outcome: AnnouncementOutcome;
  readonly rounds_made: number;
};
type Round = AnnouncementRecord['rounds'][number];

/** The history of announcements. A schedule is stored as exact JSON text, so that 64-bit integers stay exact. */
export function announcementRepository(connection: Connection): AnnouncementRepository {
  const nextId = counter(connection, 'announcements');
  const insert = connection.prepare<[object]>(
    `INSERT INTO announcements
        (id, name, migration_id, interfaces_json, schedule_json, started_at, ended_at, outcome, rounds_made)
      VALUES (@id, @name, @migrationId, @interfaces, @schedule, @startedAt, NULL, 'running', 0)`,
  );
  const insertRound = connection.prepare<[number, number, number]>(
    'INSERT INTO announcement_rounds (announcement_id, round, at) VALUES (?, ?, ?)',
  );
  const count = connection.prepare<[number, number]>('UPDATE announcements SET rounds_made = ? WHERE id = ?');
  const end = connection.prepare<[number, string, number, number]>(
    'UPDATE announcements SET ended_at = ?, outcome = ?, rounds_made = ? WHERE id = ?',
  );
  const closeOpen = connection.prepare("UPDATE announcements SET outcome = 'unknown' WHERE outcome = 'running'");
  const one = connection.prepare<[number], Row>('SELECT * FROM announcements WHERE id = ?');
  const page = connection.prepare<[number, number], Row>(
    'SELECT * FROM announcements WHERE id < ? ORDER BY id DESC LIMIT ?',
  );
  const rounds = connection.prepare<[number], Round>(
    'SELECT round, at FROM announcement_rounds WHERE announcement_id = ? ORDER BY round',
  );
  const prune = connection.prepare<[number]>(
    `DELETE FROM announcements WHERE outcome <> 'running'
      AND id <= (SELECT id FROM announcements ORDER BY id DESC LIMIT 1 OFFSET ?)`,
  );
  return {
    add: ({ interfaces, schedule, ...row }) => {
      const id = nextId();
      const interfacesJson = interfaces === null ? null : JSON.stringify(interfaces);
      insert.run({ ...row, id, interfaces: interfacesJson, schedule: writeExactJson({ ...schedule }) });
      return id;
    },
    addRound: (id, { round, at }) => {
      inTransaction(connection, () => {
        insertRound.run(id, round, at);
        count.run(round, id);
      });
    },
    end: (id, { outcome, endedAt, roundsMade }) => {
      end.run(endedAt, outcome, roundsMade, id);
    },
    closeOpen: () => {
      closeOpen.run();
    },
    get: (id) => {
      const row = one.get(id);
      return row === undefined ? null : { ...fromRow(row), rounds: rounds.all(id) };
    },
    list: (query) => {
      const list = new OrderedList('announcements', query);
      const { before, limit } = list.bounds();
      const position = ({ id, started_at: at }: Row) => ({ number: id, at });
      return list.page(page.all(before, limit), { item: fromRow, position });
    },
    prune: (keep) => {
      prune.run(keep);
    },
  };
}

function fromRow(row: Row): AnnouncementRow {
  return {
    id: row.id,
    name: row.name,
    migrationId: row.migration_id,
    interfaces: row.interfaces_json === null ? null : (JSON.parse(row.interfaces_json) as string[]),
    schedule: readExactJson(row.schedule_json) as AnnounceSchedule,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    outcome: row.outcome,
    roundsMade: row.rounds_made,
  };
}
