import { EXIT, type ExitStatus } from '../client-failure.ts';
import { decodeMigration } from '../client-migration.ts';
import { isRecord, jsonLine } from '../json-values.ts';
import { oneLine } from '../output/plain-text.ts';
import type { World } from '../world.ts';
import { type Common, withClient } from './service-command.ts';

/* incoming, continue, blockers: the target of a migration, its pause before the switchover, and migration blockers. */

/** Makes the service listen for a migration and prints the addresses. */
export function runIncomingCommand(
  command: Common & { readonly uri: string; readonly quiet: boolean },
  world: World,
): Promise<ExitStatus> {
  const { uri, json, quiet } = command;
  return withClient({ ...command, operation: `incoming ${uri}` }, world, async (client) => {
    const migration = decodeMigration(await client.ask({ method: 'POST', path: '/migrate/incoming', body: { uri } }));
    const { 'socket-address': addresses = [] } = await client.record({ method: 'GET', path: '/migrate' });
    const where = Array.isArray(addresses) ? addresses.filter(isRecord).map(addressText) : [];
    if (json) world.out(jsonLine({ migration: migration.raw, 'socket-address': addresses }));
    else if (quiet) world.out(`${oneLine(migration.id)}\n`);
    else world.out(`${oneLine(`listening on ${where.join(', ') || uri}: migration ${migration.id}`)}\n`);
    return EXIT.done;
  });
}

/** Makes the service stop listening, provided that no source has connected. */
export function runEndIncomingCommand(command: Common, world: World): Promise<ExitStatus> {
  return withClient({ ...command, operation: 'incoming --end' }, world, async (client) => {
    await client.remove('/migrate/incoming');
    if (command.json) world.out(jsonLine({ listening: false }));
    return EXIT.done;
  });
}

/** A socket address as a migration URI. */
function addressText({ type, host, port, path }: Readonly<Record<string, unknown>>): string {
  if (type === 'unix') return `unix:${path}`;
  const name = String(host);
  return `tcp:${name.includes(':') ? `[${name}]` : name}:${port}`;
}

/** Continues a migration that waits in the given state. */
export function runContinueCommand(command: Common & { readonly state: string }, world: World): Promise<ExitStatus> {
  const { state, json } = command;
  return withClient({ ...command, operation: 'continue' }, world, async (client) => {
    const migration = await client.record({ method: 'POST', path: '/migrate/continue', body: { state } });
    world.out(json ? jsonLine(migration) : `${oneLine(`the migration goes on (${migration.status})`)}\n`);
    return EXIT.done;
  });
}

/** Prints the migration blockers. */
export function runBlockersCommand(command: Common, world: World): Promise<ExitStatus> {
  return withClient({ ...command, operation: 'blockers' }, world, async (client) => {
    const found = await client.record({ method: 'GET', path: '/migrate/blockers' });
    const list = Array.isArray(found.blockers) ? found.blockers.filter(isRecord) : [];
    if (command.json) world.out(jsonLine(found));
    else world.out(list.map(({ id, reason }) => `${oneLine(`${id}: ${reason}`)}\n`).join(''));
    return EXIT.done;
  });
}

/** Adds a migration blocker and prints its id. */
export function runAddBlockerCommand(command: Common & { readonly reason: string }, world: World): Promise<ExitStatus> {
  const { reason, json } = command;
  return withClient({ ...command, operation: 'blockers' }, world, async (client) => {
    const blocker = await client.record({ method: 'POST', path: '/migrate/blockers', body: { reason } });
    world.out(json ? jsonLine(blocker) : `${oneLine(String(blocker.id))}\n`);
    return EXIT.done;
  });
}

/** Removes a migration blocker. */
export function runRemoveBlockerCommand(command: Common & { readonly id: string }, world: World): Promise<ExitStatus> {
  const { id, json } = command;
  return withClient({ ...command, operation: `blocker ${id}` }, world, async (client) => {
    await client.remove(`/migrate/blockers/${encodeURIComponent(id)}`);
    if (json) world.out(jsonLine({ id }));
    return EXIT.done;
  });
}
