import type { JobRecovery } from '../jobs/spec.ts';
import type { BlockNode } from '../ports/block-nodes.ts';
import type { Catalogue } from './catalogue.ts';

/** A snapshot in one image: what a job was about to make, remove or turn a disk to. */
export type TouchedPart = {
  readonly node: string;
  /** Of the image: by the next start the node may have another. */
  readonly path: string;
  /** Tells it from a later snapshot of the same tag. */
  readonly dateMs: number;
};

/** What a recovery has to know of a snapshot that is there on these nodes, or will be, with `dateMs`. */
export function partsOf(catalogue: Catalogue, tag: string, of: PartsOf): JobRecovery {
  const { devices } = of;
  const parts = catalogue.find(tag)?.parts ?? [];
  const nodes = catalogue.nodes().filter(({ name }) => devices.includes(name));
  return {
    parts: nodes.map(({ name, path }) => {
      const dateMs = of.dateMs ?? parts.find(({ node }) => node === name)?.dateMs ?? 0;
      return { node: name, path, dateMs };
    }),
  };
}

type PartsOf = { readonly devices: readonly string[]; readonly dateMs?: number };

/** The other way round; anything that is not a part is left out. */
export function readParts(recovery: JobRecovery | null): readonly TouchedPart[] {
  const { parts } = recovery ?? {};
  return Array.isArray(parts) ? parts.filter(isPart) : [];
}

/** The node as it was for the job: the same image, which can be written. Undefined if there is none. */
export function nodeOfPart(catalogue: Catalogue, { node, path }: TouchedPart): BlockNode | undefined {
  return catalogue.nodes().find((one) => one.name === node && one.path === path && !one.isReadOnly);
}

/** True if the node's image holds the very snapshot that the job worked on. */
export function holdsPart(catalogue: Catalogue, tag: string, { node, dateMs }: TouchedPart): boolean {
  const parts = catalogue.find(tag)?.parts ?? [];
  return parts.some((part) => part.node === node && part.dateMs === dateMs);
}

function isPart(value: unknown): value is TouchedPart {
  const { node, path, dateMs } = (value ?? {}) as Partial<TouchedPart>;
  return typeof node === 'string' && typeof path === 'string' && typeof dateMs === 'number';
}
