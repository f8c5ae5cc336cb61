import type { Domain } from '../../domain/domain.ts';
import type { EventLoopFigures, HttpFigures } from './running-figures.ts';

/* The parts of a metric: a family has a name, labels, and a function that reads its samples at each scrape. */

export type MetricsSource = {
  readonly domain: Domain;
  readonly http: HttpFigures;
  readonly eventLoop: EventLoopFigures;
  /** Number of clients that follow the events now. */
  readonly eventStreams: () => number;
  readonly workers: WorkersMemory;
  readonly isReady: () => boolean;
  readonly space: FreeSpace;
};

/** The worker threads of the process and the memory that each holds now, in bytes; null if the worker did not report it. */
export type WorkersMemory = () => Promise<
  readonly { readonly kind: string; readonly memory: Readonly<Record<MemoryPart, number>> | null }[]
>;
type MemoryPart = 'heapBytes' | 'heapUsedBytes' | 'externalBytes';

/**
 * Space on the file systems that the service writes to. `place` is `data` or the name of a block device node. `freeBytes` is the
 * space that this process can still write. A place whose file system does not report its space is left out.
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

/** A sample without labels; no sample if there is no value. */
export function one(value: number | null | undefined): readonly Sample[] {
  return value === null || value === undefined ? [] : [{ value }];
}

/** A sample in seconds from a time in milliseconds; no sample if there is no value. */
export function seconds(milliseconds: number | null | undefined): readonly Sample[] {
  return one(milliseconds === null || milliseconds === undefined ? null : milliseconds / 1000);
}

/** One sample for each of `values`: 1 for the current one, 0 for the others. So each series always exists. */
export function oneOf(label: string, values: readonly string[], current: string | null): readonly Sample[] {
  return values.map((value) => ({ labels: { [label]: value }, value: value === current ? 1 : 0 }));
}
