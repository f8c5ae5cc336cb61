import type { Context } from './context.ts';

/**
 * Takes no new work from now on, and resolves when what runs has ended, or after `timeoutMs`. What waits in a queue was
 * accepted, so it has its turn. An incoming migration is given up at once: to finish it would be to take the guest from
 * its source and then to stop it here.
 */
export async function drain(context: Context, timeoutMs: number): Promise<void> {
  context.isClosing = true;
  context.jobs.refuseNew();
  const { current } = context;
  void context.reception?.abort();
  const ended = Promise.all([context.jobs.idle(), current?.isEnded === false ? current.settled : null]);
  if (timeoutMs > 0) await withinTime(context, ended, timeoutMs);
}

async function withinTime({ schedule }: Context, work: Promise<unknown>, timeoutMs: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const callOff = schedule(resolve, timeoutMs);
  await Promise.race([work, late]);
  callOff();
}
