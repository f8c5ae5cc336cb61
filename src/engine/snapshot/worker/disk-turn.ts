import type { PreparedApply } from '../../../block/image.ts';

type Prepared = { readonly node: string; readonly apply: PreparedApply };

/**
 * The disks of several nodes, about to become what a snapshot holds: all of them, or none. After `commit` either
 * `revert` or `release`; before it `abandon`.
 */
export class DiskTurn {
  readonly #prepared: Prepared[] = [];

  /** Adds a disk. If it fails, what was prepared before is to be abandoned. */
  async prepare(node: string, made: Promise<PreparedApply>): Promise<void> {
    this.#prepared.push({ node, apply: await made });
  }

  /** Turns all disks over. If one fails, those before it are turned back and the rest abandoned before this throws. */
  async commit(): Promise<void> {
    for (const [index, { apply }] of this.#prepared.entries()) {
      try {
        await apply.commit();
      } catch (error) {
        const turned = this.#prepared.slice(0, index);
        await eachOf(turned.reverse(), (disk) => disk.revert(), error);
        await eachOf(this.#prepared.slice(index), (disk) => disk.abandon(), error);
        throw error;
      }
    }
  }

  async revert(): Promise<void> {
    await eachOf([...this.#prepared].reverse(), (disk) => disk.revert());
  }

  async release(): Promise<void> {
    await eachOf(this.#prepared, (disk) => disk.release());
  }

  async abandon(): Promise<void> {
    await eachOf(this.#prepared, (disk) => disk.abandon());
  }
}

/** Does it to all, whatever becomes of each. What failed is added to `cause`, or thrown where there is none. */
async function eachOf(
  disks: readonly Prepared[],
  step: (disk: PreparedApply) => Promise<void>,
  cause?: unknown,
): Promise<void> {
  const failed: string[] = [];
  let first: unknown = null;
  for (const { node, apply } of disks) {
    try {
      await step(apply);
    } catch (error) {
      first ??= error;
      failed.push(`node ${node}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (failed.length === 0) return;
  if (cause === undefined) throw first;
  if (cause instanceof Error) cause.message += ` (and then: ${failed.join('; ')})`;
}
