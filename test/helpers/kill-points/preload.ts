/*
 * Loaded into a service before its own code (`node --import`). Ends the process by SIGKILL at a named point of its work. The file
 * named by KILL_POINT_FILE names the point: `flush N` is the moment before the N-th flush of an image, `begin N`, `commit N` and
 * `committed N` the moments in the N-th database transaction before its first statement, before its commit and after it. The file
 * is absent while nothing is to happen, and counting begins when it appears.
 */
import fs, { existsSync, readFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import Database from 'better-sqlite3';

const file = process.env.KILL_POINT_FILE!;
const counts = new Map<string, number>();

function reach(point: string): void {
  if (!existsSync(file)) return;
  const count = (counts.get(point) ?? 0) + 1;
  counts.set(point, count);
  if (readFileSync(file, 'utf8') === `${point} ${count}`) process.kill(process.pid, 'SIGKILL');
}

if (isMainThread) {
  const { transaction } = Database.prototype;
  Database.prototype.transaction = function (this: Database.Database, work: (...args: unknown[]) => unknown) {
    const whole = transaction.call(this, (...args: unknown[]) => {
      reach('begin');
      const result = work(...args);
      reach('commit');
      return result;
    });
    const immediate = (...args: unknown[]) => {
      const result = whole.immediate(...args);
      reach('committed');
      return result;
    };
    return Object.assign((...args: unknown[]) => whole(...args), { immediate });
  } as unknown as typeof transaction;
} else {
  const { fdatasync } = fs;
  fs.fdatasync = Object.assign((fd: number, done: fs.NoParamCallback) => {
    reach('flush');
    fdatasync(fd, done);
  }, fdatasync);
  syncBuiltinESMExports();
}
