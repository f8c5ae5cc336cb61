import type { BlockNodes, DigestReading } from '../ports/block-nodes.ts';
import type { Schedule } from '../ports/process.ts';
import type { Snapshot } from './catalogue.ts';
import { messageOf } from './job-work.ts';

/** Longest time until an answer, milliseconds: an image may be busy, or its disk may hang. */
export const DIGESTS_MS_MAX = 5000;

/**
 * Digests kept with snapshots, read on demand. They are cached for as long as the list of snapshots does not change;
 * failed readings are not cached. Images are read one after another, so that a client that asks for many tags uses no
 * more of the block thread, nor of memory, than for one.
 */
export class KeptDigests {
  readonly #blocks: Pick<BlockNodes, 'digests'>;
  readonly #schedule: Schedule;
  readonly #read = new WeakMap<Snapshot, Promise<readonly DigestReading[]>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(blocks: Pick<BlockNodes, 'digests'>, schedule: Schedule) {
    this.#blocks = blocks;
    this.#schedule = schedule;
  }

  /** Of each part, in their order. Never rejects: what cannot be read, or not in time, says so. */
  async of(snapshot: Snapshot): Promise<readonly DigestReading[]> {
    const late = Promise.withResolvers<readonly DigestReading[]>();
    const callOff = this.#schedule(() => {
      late.resolve(faultOfAll(snapshot, `The digests could not be read within ${DIGESTS_MS_MAX} ms.`));
    }, DIGESTS_MS_MAX);
    const readings = await Promise.race([late.promise, this.#readings(snapshot)]);
    callOff();
    return readings;
  }

  #readings(snapshot: Snapshot): Promise<readonly DigestReading[]> {
    const known = this.#read.get(snapshot);
    if (known !== undefined) return known;
    const reading = this.#last.then(() => this.#ask(snapshot));
    this.#last = reading;
    this.#read.set(snapshot, reading);
    return reading;
  }

  async #ask(snapshot: Snapshot): Promise<readonly DigestReading[]> {
    const { tag, parts } = snapshot;
    const devices = parts.filter(({ hasDigests }) => hasDigests).map(({ node }) => node);
    let readings: readonly DigestReading[];
    try {
      const found = devices.length === 0 ? [] : await this.#blocks.digests({ tag, devices }).ended;
      readings = parts.map(
        ({ node }) => found.find((one) => one.node === node) ?? { node, digests: null, fault: null },
      );
    } catch (error) {
      readings = faultOfAll(snapshot, `The digests could not be read: ${messageOf(error)}`);
    }
    if (readings.some(({ fault }) => fault !== null)) this.#read.delete(snapshot);
    return readings;
  }
}

function faultOfAll({ parts }: Snapshot, fault: string): readonly DigestReading[] {
  return parts.map(({ node, hasDigests }) => ({ node, digests: null, fault: hasDigests ? fault : null }));
}
