import type { Domain } from '../../domain/domain.ts';
import type { EventLoopFigures, HttpFigures } from './running-figures.ts';

/* What a metric is made of: a family has a name, labels, and a function that reads its samples at each scrape. */

export type MetricsSource = {
  readonly domain: Domain;
  readonly http: HttpFigures;
  readonly eventLoop: EventLoopFigures;
  /** Clients that follow the events now. */
  readonly eventStreams: () => number;
  readonly workers: WorkersMemory;
  readonly isReady: () => boolean;
  readonly space: FreeSpace;
};

/** The worker threads of the process, and what each holds now, in bytes; null: it did not say. */
export type WorkersMemory = () => Promise<
  readonly { readonly kind: string; readonly memory: Readonly<Record<MemoryPart, number>> | null }[]
>;
type MemoryPart = 'heapBytes' | 'heapUsedBytes' | 'externalBytes';

/**
 * Room on the file systems that the service writes to, by what it keeps there: `data`, and the name of each block device
 * node. `freeBytes` is what this process may still write. A place that does not say is left out.
 */
export type FreeSpace = () => Promise<
  readonly { readonly place: string; readonly freeBytes: number; readonly sizeBytes: number }[]
>;

export type Sample = { readonly labels?: Readonly<Record<string, string>>; readonly value: number };
export type Family = {
  readonly name: string;
  readonly help: string;
  readonly kind: 'gauge' | 'counter';
  readonly labels?: readonly string[];
  readonly of: (source: MetricsSource) => readonly Sample[] | Promise<readonly Sample[]>;
};

/** A sample without labels, or none where there is nothing to say. */
export function one(value: number | null | undefined): readonly Sample[] {
  return value === null || value === undefined ? [] : [{ value }];
}

/** The same of a time in milliseconds. */
export function seconds(milliseconds: number | null | undefined): readonly Sample[] {
  return one(milliseconds === null || milliseconds === undefined ? null : milliseconds / 1000);
}

/** A sample for each of `words`: 1 for the one that holds now, 0 for the others, so that each series always exists. */
export function oneOf(label: string, words: readonly string[], current: string | null): readonly Sample[] {
  return words.map((word) => ({ labels: { [label]: word }, value: word === current ? 1 : 0 }));
}
