// A client of the event stream that stores only what shows that no event was lost or reordered.

import { request } from 'node:http';

export type EventReader = {
  /** Resolves when the answer has begun. */
  readonly opened: Promise<void>;
  /** Resolves when the connection has ended for any reason. */
  readonly closed: Promise<void>;
  /** Number of the newest event. */
  readonly last: () => number;
  /** Faults: event numbers that do not follow the previous one. */
  readonly faults: readonly string[];
  close(): void;
};

/** Follows the events after number `since`. With `isDeaf` it stops reading when the answer has begun. */
export function readEvents(url: string, { since, isDeaf = false }: { since: number; isDeaf?: boolean }): EventReader {
  const faults: string[] = [];
  const opened = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  let last = since;
  let rest = '';
  const take = (chunk: string): void => {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('event: gap')) faults.push('there was a gap');
      if (!line.startsWith('id: ')) continue;
      const id = Number(line.slice(4));
      if (id !== last + 1) faults.push(`${id} came behind ${last}`);
      last = id;
    }
  };
  const asked = request(`${url}/events?since=${since}`, { agent: false }, (response) => {
    opened.resolve();
    response.on('error', () => {}).on('close', () => closed.resolve());
    if (isDeaf) response.socket.pause();
    else response.setEncoding('utf8').on('data', take);
  });
  asked.on('error', (error) => {
    opened.reject(error);
    closed.resolve();
  });
  asked.end();
  return { opened: opened.promise, closed: closed.promise, last: () => last, faults, close: () => asked.destroy() };
}
