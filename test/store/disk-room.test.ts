import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { RESERVE_BYTES, reserveIn } from '../../src/store/disk-room.ts';
import { openStore } from '../../src/store/sqlite-store.ts';
import { refusalOf } from '../domain/fakes/refusal.ts';
import { dataDirectory, SCHEMA_DIRECTORY } from './fixtures.ts';

const bytesOf = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? null;

describe('the disk space reserved for the ends of jobs', () => {
  it('is allocated once, released once, and allocated again', () => {
    const directory = dataDirectory();
    const reserve = reserveIn(directory);
    const path = join(directory, 'reserve');
    expect([reserve.free(), bytesOf(path)]).toEqual([false, null]);
    for (let round = 0; round < 2; round += 1) {
      reserve.keep();
      reserve.keep();
      const { size, blocks } = statSync(path);
      expect([size, blocks * 512 >= size]).toEqual([RESERVE_BYTES, true]);
      expect([reserve.free(), reserve.free(), bytesOf(path)]).toEqual([true, false, null]);
    }
  });

  it('of an earlier process is used, unless it is too small', () => {
    const directory = dataDirectory();
    const path = join(directory, 'reserve');
    reserveIn(directory).keep();
    const { mtimeMs } = statSync(path);
    const reserve = reserveIn(directory);
    reserve.keep();
    expect(statSync(path).mtimeMs).toBe(mtimeMs);
    expect(reserveIn(directory).free()).toBe(true);
    reserve.free();
    writeFileSync(path, 'half');
    reserve.keep();
    expect(bytesOf(path)).toBe(RESERVE_BYTES);
  });

  it('is allocated when a store is opened', () => {
    const directory = dataDirectory();
    openStore(directory, SCHEMA_DIRECTORY).close();
    expect(bytesOf(join(directory, 'reserve'))).toBe(RESERVE_BYTES);
  });

  it('that cannot be allocated is reported by name', () => {
    const directory = join(dataDirectory(), 'gone');
    const reserve = reserveIn(directory);
    const refusal = refusalOf(() => reserve.keep());
    expect(refusal).toMatchObject({ code: 'data_directory_unusable', message: expect.stringContaining(directory) });
    mkdirSync(directory);
    expect(refusalOf(() => reserve.keep())).toBeNull();
  });
});
