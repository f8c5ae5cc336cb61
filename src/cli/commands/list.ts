import { EXIT, type ExitStatus } from '../exit-status.ts';
import { oneLine } from '../output/plain-text.ts';
import { snapshotTable } from '../snapshot-table.ts';
import type { World } from '../world.ts';
import { type Common, guarded, jsonLine } from './service-command.ts';

/* list: the snapshots as a table, as tags alone, or as one JSON document. */

export type ListCommand = Common & {
  /** Null: all. */
  readonly tag: string | null;
  readonly quiet: boolean;
};

export function runListCommand(command: ListCommand, world: World): Promise<ExitStatus> {
  const { tag, json, quiet } = command;
  const what = tag === null ? 'listing snapshots' : `listing ${tag}`;
  return guarded({ ...command, what }, world, async (client) => {
    const snapshots =
      tag === null
        ? await client.pages('/snapshots', 'snapshots')
        : [await client.record({ method: 'GET', path: `/snapshots/${encodeURIComponent(tag)}` })];
    if (json) world.out(jsonLine({ snapshots }));
    else if (quiet) world.out(snapshots.map((snapshot) => `${oneLine(String(snapshot.tag))}\n`).join(''));
    else world.out(snapshotTable(snapshots));
    return EXIT.done;
  });
}
