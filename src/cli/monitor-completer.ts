import type { ServiceClient } from './service-client.ts';

/* Completion of monitor lines: what may come next is for the service to say, which knows its commands and tags. */

/** Somebody waits for it with a finger on the key. */
const ANSWER_MS_MAX = 2000;

/**
 * Words that the last one of a line may become, and the piece of the line that they replace. Never rejects: where the
 * service does not answer there is nothing to offer.
 */
export async function completeLine(client: ServiceClient, line: string): Promise<[words: string[], piece: string]> {
  const piece = /\S*$/.exec(line)?.[0] ?? '';
  try {
    const path = `/hmp/completions?line=${encodeURIComponent(line)}`;
    const { completions } = await client.record({ method: 'GET', path, deadlineMs: ANSWER_MS_MAX });
    const words = Array.isArray(completions) ? completions.filter((word) => typeof word === 'string') : [];
    return [words.map((word) => `${word} `), piece];
  } catch {
    return [[], piece];
  }
}
