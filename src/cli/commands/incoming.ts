import { decodeMigration } from '../client-migration.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { isRecord } from '../json-values.ts';
import { oneLine } from '../output/plain-text.ts';
import type { World } from '../world.ts';
import { type Common, guarded, jsonLine } from './service-command.ts';

/* incoming, continue, blockers: what a migration needs beside being started. */

/** Lets the service listen for a migration, and prints where it listens. */
export function runIncomingCommand(
  command: Common & { readonly uri: string; readonly quiet: boolean },
  world: World,
): Promise<ExitStatus> {
  const { uri, json, quiet } = command;
  return guarded({ ...command, what: `incoming ${uri}` }, world, async (client) => {
    const migration = decodeMigration(await client.ask({ method: 'POST', path: '/migrate/incoming', body: { uri } }));
    const { 'socket-address': addresses = [] } = await client.record({ method: 'GET', path: '/migrate' });
    const where = Array.isArray(addresses) ? addresses.filter(isRecord).map(addressText) : [];
    if (json) world.out(jsonLine({ migration: migration.raw, 'socket-address': addresses }));
    else if (quiet) world.out(`${oneLine(migration.id)}\n`);
    else world.out(`${oneLine(`listening on ${where.join(', ') || uri}: migration ${migration.id}`)}\n`);
    return EXIT.done;
  });
}

/** Lets the service listen no more, where no sender has come. */
export function runEndIncomingCommand(command: Common, world: World): Promise<ExitStatus> {
  return guarded({ ...command, what: 'incoming --end' }, world, async (client) => {
    await client.remove('/migrate/incoming');
    if (command.json) world.out(jsonLine({ listening: false }));
    return EXIT.done;
  });
}

/** An address as a migration to it would be given. */
function addressText({ type, host, port, path }: Readonly<Record<string, unknown>>): string {
  if (type === 'unix') return `unix:${path}`;
  const name = String(host);
  return `tcp:${name.includes(':') ? `[${name}]` : name}:${port}`;
}

/** Lets a migration go on that waits in a state. */
export function runContinueCommand(command: Common & { readonly state: string }, world: World): Promise<ExitStatus> {
  const { state, json } = command;
  return guarded({ ...command, what: 'continue' }, world, async (client) => {
    const migration = await client.record({ method: 'POST', path: '/migrate/continue', body: { state } });
    world.out(json ? jsonLine(migration) : `${oneLine(`the migration goes on (${migration.status})`)}\n`);
    return EXIT.done;
  });
}

/** Prints what forbids an outgoing migration. */
export function runBlockersCommand(command: Common, world: World): Promise<ExitStatus> {
  return guarded({ ...command, what: 'blockers' }, world, async (client) => {
    const found = await client.record({ method: 'GET', path: '/migrate/blockers' });
    const list = Array.isArray(found.blockers) ? found.blockers.filter(isRecord) : [];
    if (command.json) world.out(jsonLine(found));
    else world.out(list.map(({ id, reason }) => `${oneLine(`${id}: ${reason}`)}\n`).join(''));
    return EXIT.done;
  });
}

/** Forbids outgoing migrations for a reason, and prints how the blocker is called. */
export function runAddBlockerCommand(command: Common & { readonly reason: string }, world: World): Promise<ExitStatus> {
  const { reason, json } = command;
  return guarded({ ...command, what: 'blockers' }, world, async (client) => {
    const blocker = await client.record({ method: 'POST', path: '/migrate/blockers', body: { reason } });
    world.out(json ? jsonLine(blocker) : `${oneLine(String(blocker.id))}\n`);
    return EXIT.done;
  });
}

export function runRemoveBlockerCommand(command: Common & { readonly id: string }, world: World): Promise<ExitStatus> {
  const { id, json } = command;
  return guarded({ ...command, what: `blocker ${id}` }, world, async (client) => {
    await client.remove(`/migrate/blockers/${encodeURIComponent(id)}`);
    if (json) world.out(jsonLine({ id }));
    return EXIT.done;
  });
}
