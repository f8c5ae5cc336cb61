import { describe, expect, test } from 'vitest';
import { announcementRepository } from '../../src/store/announcement-repository.ts';
import { openedMemoryDatabase } from '../helpers/memory-store.ts';

const ROW = {
  name: 'a',
  migrationId: null,
  interfaces: ['vn2'],
  schedule: { initial: 50, max: 2n ** 62n, rounds: 5, step: -1 },
  startedAt: 1_750_000_000_000,
};
const END = { outcome: 'completed', roundsMade: 2, endedAt: 1_750_000_000_100 } as const;

describe('announcements in the database', () => {
  test('have their rounds, an end, and exact 64-bit values', () => {
    const announcements = announcementRepository(openedMemoryDatabase().connection);
    const id = announcements.add(ROW);
    announcements.addRound(id, { round: 1, at: 1 });
    announcements.addRound(id, { round: 2, at: 2 });
    const running = { ...ROW, id, endedAt: null, outcome: 'running', roundsMade: 2 };
    expect(announcements.get(id)).toEqual({ ...running, rounds: [1, 2].map((round) => ({ round, at: round })) });
    announcements.end(id, END);
    expect(announcements.list({ limit: 10, cursor: null }).items).toEqual([{ ...running, ...END }]);
    expect(announcements.get(id + 1)).toBeNull();
  });

  test('are listed in pages, newest first, and those of an earlier process are closed as unknown', () => {
    const { connection } = openedMemoryDatabase();
    const announcements = announcementRepository(connection);
    const ids = Array.from({ length: 5 }, () => announcements.add({ ...ROW, interfaces: null }));
    announcements.end(ids[0]!, END);
    announcementRepository(connection).closeOpen();
    const first = announcements.list({ limit: 3, cursor: null });
    const second = announcements.list({ limit: 3, cursor: first.next });
    expect([...first.items, ...second.items].map(({ id, outcome }) => [id, outcome])).toEqual([
      ...ids
        .slice(1)
        .reverse()
        .map((id) => [id, 'unknown']),
      [ids[0], 'completed'],
    ]);
    expect(second.next).toBeNull();
  });

  test('are removed with their rounds, except the newest and the unfinished ones', () => {
    const { connection } = openedMemoryDatabase();
    const announcements = announcementRepository(connection);
    const ids = Array.from({ length: 5 }, () => announcements.add(ROW));
    for (const id of ids) announcements.addRound(id, { round: 1, at: 1 });
    for (const id of ids.slice(1)) announcements.end(id, END);
    announcements.prune(2);
    const kept = announcements.list({ limit: 10, cursor: null }).items.map(({ id }) => id);
    expect(kept).toEqual([ids[4], ids[3], ids[0]]);
    const rounds = connection.prepare('SELECT DISTINCT announcement_id AS id FROM announcement_rounds').all();
    expect(rounds).toHaveLength(3);
  });
});
