import type { PreparedApply } from '../../../block/image.ts';
import { SnapshotFailure } from '../task-failure.ts';

type Prepared = { readonly node: string; readonly apply: PreparedApply };

/**
 * Switches the disks of several nodes to a snapshot: all of them, or none. After `commit` call `revert` or `release`;
 * before it `abandon`.
 */
export class DiskSwitch {
  readonly #prepared: Prepared[] = [];

  /** Adds a disk. After an error call `abandon`. */
  async prepare(node: string, made: Promise<PreparedApply>): Promise<void> {
    this.#prepared.push({ node, apply: await made });
  }

  /**
   * Switches all disks. If one fails, the disks before it are switched back and the others are abandoned.
   * @throws SnapshotFailure `disks_in_doubt` if a disk is not known to have its old content.
   */
  async commit(): Promise<void> {
    for (const [index, { node, apply }] of this.#prepared.entries()) {
      try {
        await apply.commit();
      } catch (error) {
        const switched = this.#prepared.slice(0, index).reverse();
        const failed = [
          ...(await eachOf(switched, (disk) => disk.revert())),
          ...(await eachOf(this.#prepared.slice(index), (disk) => disk.abandon())),
        ];
        this.#throwIfInDoubt([{ node, error }, ...failed]);
        if (failed.length > 0 && error instanceof Error) error.message += ` (and then: ${describe(failed)})`;
        throw error;
      }
    }
  }

  /**
   * Switches all disks back.
   * @throws SnapshotFailure `disks_in_doubt` if a disk is not known to have its old content.
   */
  async revert(): Promise<void> {
    const failed = await eachOf([...this.#prepared].reverse(), (disk) => disk.revert());
    this.#throwIfInDoubt(failed);
    throwFirst(failed);
  }

  async release(): Promise<void> {
    throwFirst(await eachOf(this.#prepared, (disk) => disk.release()));
  }

  async abandon(): Promise<void> {
    throwFirst(await eachOf(this.#prepared, (disk) => disk.abandon()));
  }

  #throwIfInDoubt(failed: readonly Failed[]): void {
    const doubtful = this.#prepared.filter(({ apply }) => apply.disk !== 'before').map(({ node }) => `'${node}'`);
    if (doubtful.length === 0) return;
    const message = `Disks of these nodes are, or may be, the snapshot's, and could not be switched back: ${doubtful.join(', ')}`;
    throw new SnapshotFailure('disks_in_doubt', `${message} (${describe(failed)}).`);
  }
}

type Failed = { readonly node: string; readonly error: unknown };

/** Runs `step` for all disks, also after errors. @returns the failed ones. */
async function eachOf(disks: readonly Prepared[], step: (disk: PreparedApply) => Promise<void>): Promise<Failed[]> {
  const failed: Failed[] = [];
  for (const { node, apply } of disks) {
    try {
      await step(apply);
    } catch (error) {
      failed.push({ node, error });
    }
  }
  return failed;
}

function throwFirst([first]: readonly Failed[]): void {
  if (first !== undefined) throw first.error;
}

function describe(failed: readonly Failed[]): string {
  return failed
    .map(({ node, error }) => `node ${node}: ${error instanceof Error ? error.message : String(error)}`)
    .join('; ');
}
