import { DomainError, isErrorCode } from '../errors.ts';
import type { BlockNodes, SnapshotError } from '../ports/block-nodes.ts';
import type { Report } from '../ports/process.ts';

export type GuestDisksOptions = {
  readonly blocks: Pick<BlockNodes, 'isActive' | 'activate' | 'deactivate'>;
  /** Called after each activation: repairs what an earlier process left unfinished in the images. */
  readonly onActivated: () => Promise<void>;
  readonly report: Report;
};

/**
 * The guest's disks go where the guest goes: their images are active here only while the guest is here
 * (docs/adr/0048-shared-disks-change-hands-at-switchover.md).
 */
export class GuestDisks {
  readonly #options: GuestDisksOptions;

  constructor(options: GuestDisksOptions) {
    this.#options = options;
  }

  get isActive(): boolean {
    return this.#options.blocks.isActive;
  }

  /**
   * Takes the locks of the images and reads them anew.
   * @throws DomainError, such as `image_locked`: then all images are inactive.
   */
  async activate(): Promise<void> {
    try {
      await this.#options.blocks.activate();
    } catch (cause) {
      const { code = '', message = String(cause) } = (cause ?? {}) as Partial<SnapshotError>;
      const detail = `The guest's disks cannot be used here: ${message}`;
      throw new DomainError(isErrorCode(code) ? code : 'engine_failed', detail, { cause });
    }
    await this.#options.onActivated();
  }

  /** Flushes the images and gives up their locks. Rejects with a SnapshotError if that fails. */
  deactivate(): Promise<void> {
    return this.#options.blocks.deactivate();
  }

  /** Deactivates the images after a guest that was awaited did not arrive. A fault is reported. */
  async giveBack(): Promise<void> {
    await this.deactivate().catch(this.#options.report);
  }
}
