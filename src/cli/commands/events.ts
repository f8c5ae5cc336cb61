import { listen } from '../event-listener.ts';
import type { ServiceEvent } from '../event-reader.ts';
import { eventLine, eventObject } from '../event-text.ts';
import { EXIT, type ExitStatus } from '../exit-status.ts';
import { oneLine } from '../output/plain-text.ts';
import { createPaint } from '../paint.ts';
import type { World } from '../world.ts';
import { type Common, guarded, jsonLine } from './service-command.ts';

/* events: what the service tells, as it happens, for as long as one listens. */

export type EventsCommand = Common & {
  /** Everything after this one; null: from now on. */
  readonly since: string | null;
  readonly reconnectMs: number;
};

/** Ends with a signal, or when nobody reads the output any more. */
export function runEventsCommand(command: EventsCommand, world: World): Promise<ExitStatus> {
  const { json, since, reconnectMs } = command;
  const paint = createPaint(world);
  const note = (text: string): void => {
    if (json) world.out(jsonLine({ type: 'note', detail: text }));
    else world.err(`vmferry: events: ${oneLine(text)}\n`);
  };
  const take = (event: ServiceEvent): void => {
    const { id, name, body } = event;
    if (json) world.out(jsonLine(id === null ? { type: name, ...body } : eventObject(id, body)));
    else if (name === 'bye') note(`the service closes: ${body.reason}`);
    else world.out(`${eventLine(event, paint)}\n`);
  };
  return guarded({ ...command, what: 'events' }, world, async (client) => {
    const stop = AbortSignal.any([world.interrupt, world.outputClosed]);
    await listen({ client, since, clock: world.clock, stop, reconnectMs, take, note });
    world.interrupt.throwIfAborted();
    return EXIT.done;
  });
}
