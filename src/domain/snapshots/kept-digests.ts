import type { Context } from '../context.ts';
import type { DigestReading } from '../snapshot-port.ts';
import type { Snapshot } from './catalogue.ts';
import { messageOf } from './job-work.ts';

/** Whoever asks for a snapshot gets an answer within this time, milliseconds: an image may be busy, or its disk hang. */
export const DIGESTS_MS_MAX = 5000;

/**
 * Digests kept with snapshots, read when somebody asks. They are kept for as long as the list of snapshots stays as it
 * is, and nothing is that could not be read. Images are asked one after another: a list of tags that is walked through
 * takes no more of the block thread, nor of memory, than one of them.
 */
export class KeptDigests {
  readonly #context: Context;
  readonly #read = new WeakMap<Snapshot, Promise<readonly DigestReading[]>>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Of each part, in their order. Never rejects: what cannot be read, or not in time, says so. */
  async of(snapshot: Snapshot): Promise<readonly DigestReading[]> {
    const late = Promise.withResolvers<readonly DigestReading[]>();
    const callOff = this.#context.schedule(() => {
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
      const found = devices.length === 0 ? [] : await this.#context.blocks.digests({ tag, devices }).ended;
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
