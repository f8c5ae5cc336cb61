import type { DamageReport } from '../../../domain/ports/block-nodes.ts';
import { SnapshotFailure } from '../snapshot-failure.ts';

/** Places that are listed; further ones are counted. */
const REPORTS_MAX = 64;

/** Where a snapshot was found to be damaged. */
export class DamageList {
  readonly #tag: string;
  readonly #endsAtFirst: boolean;
  readonly #reports: DamageReport[] = [];
  #count = 0;
  /** What was wrong at the first place, as a clause. */
  #first = '';

  /** @param options `endsAtFirst`: whoever loads the snapshot cannot use it any more, so the first place is enough. */
  constructor(tag: string, options: { readonly endsAtFirst: boolean }) {
    this.#tag = tag;
    this.#endsAtFirst = options.endsAtFirst;
  }

  /** @throws SnapshotFailure at the first place, where that is enough. */
  add(report: DamageReport, what: string): void {
    this.#count += 1;
    if (this.#count === 1) this.#first = `${what}: ${describePlace(report)}`;
    if (this.#reports.length < REPORTS_MAX) this.#reports.push(report);
    if (this.#endsAtFirst) this.throwIfAny();
  }

  /** @throws SnapshotFailure that lists all places found so far. */
  throwIfAny(): void {
    if (this.#count === 0) return;
    const more = this.#count === 1 ? '' : `, and at ${this.#count - 1} more places`;
    throw new SnapshotFailure(
      'snapshot_damaged',
      `Snapshot '${this.#tag}' is damaged: ${this.#first}${more}.`,
      this.#reports,
    );
  }
}

function describePlace({ node, ramBlock, area, offset, bytes, fileOffset }: DamageReport): string {
  const hex = (value: number) => `0x${value.toString(16)}`;
  const areas = { ram: `RAM block '${ramBlock}'`, 'vm-state': 'the VM state', disk: 'the disk', metadata: 'the image' };
  const inFile = fileOffset === null ? '' : ` (cluster at ${hex(fileOffset)} of the image file)`;
  return `${areas[area]} of node '${node}', ${bytes} bytes at ${hex(offset)}${inFile}`;
}
