import { randomUUID } from 'node:crypto';
import { ConnectionLost, Failure } from './client-failure.ts';
import type { Started } from './service-client.ts';
import type { World } from './world.ts';

/* Starts what runs on in the service, once, however often the request has to be sent. */

const RETRY_MS = 250;

export type StartOptions<Work> = {
  readonly send: (idempotencyKey: string) => Promise<Started<Work>>;
  /** Null: one is made, so that the request can be sent again when its answer is lost. */
  readonly idempotencyKey: string | null;
  /** For how long it is sent again. */
  readonly retryMs: number;
  readonly world: Pick<World, 'clock' | 'interrupt'>;
  readonly note: (text: string) => void;
};

/** Sends the request again if its answer was lost, as the key allows. A service that was never there is not awaited. */
export async function startOnce<Work>(options: StartOptions<Work>): Promise<Started<Work>> {
  const { send, retryMs, world, note } = options;
  const key = options.idempotencyKey ?? randomUUID();
  let lostAtMs: number | null = null;
  for (;;) {
    try {
      return await send(key);
    } catch (error) {
      if (!(error instanceof Failure) || !mayComeLater(error, lostAtMs !== null)) throw error;
      if (lostAtMs === null) note(`${error.message}; trying again`);
      lostAtMs ??= world.clock.nowMs();
      if (world.interrupt.aborted || world.clock.nowMs() - lostAtMs >= retryMs) throw error;
    }
    await world.clock.wait(RETRY_MS, world.interrupt);
  }
}

/** Whether to send it again: its answer was lost, or, after that, the first one is still being answered. */
function mayComeLater(failure: Failure, wasLost: boolean): boolean {
  if (failure instanceof ConnectionLost) return wasLost || failure.mayHaveArrived;
  return wasLost && failure.code === 'idempotency_key_in_use';
}
