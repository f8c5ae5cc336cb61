import { ServiceClient } from '../client.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { Failure } from '../failure.ts';
import { failureObject } from '../job-output.ts';
import { oneLine } from '../printable.ts';
import { snapshotTable } from '../snapshot-table.ts';
import type { World } from '../world.ts';

/* list: the snapshots as a table, as tags alone, or as one JSON document. */

export type ListCommand = {
  /** Null: all. */
  readonly tag: string | null;
  readonly url: URL;
  readonly token: string | null;
  readonly json: boolean;
  readonly quiet: boolean;
};

export async function runListCommand(command: ListCommand, world: World): Promise<ExitStatus> {
  const { tag, url, token, json, quiet } = command;
  try {
    const client = new ServiceClient(url, { token, signal: world.interrupt });
    const snapshots = tag === null ? await client.snapshots() : [await client.snapshot(tag)];
    if (json) world.out(`${JSON.stringify({ snapshots })}\n`);
    else if (quiet) world.out(snapshots.map((snapshot) => `${oneLine(String(snapshot.tag))}\n`).join(''));
    else world.out(snapshotTable(snapshots));
    return EXIT.done;
  } catch (error) {
    if (world.interrupt.aborted) return world.interrupt.reason === 'SIGTERM' ? EXIT.terminated : EXIT.interrupted;
    if (!(error instanceof Failure)) throw error;
    const what = tag === null ? 'listing snapshots' : `listing ${oneLine(tag)}`;
    if (json) world.out(`${JSON.stringify(failureObject(error))}\n`);
    else world.err(`vmferry: ${what}: ${oneLine(error.message)}\n`);
    return error.exitStatus;
  }
}
