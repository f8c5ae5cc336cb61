import type { DirtyPort, GuestView, RunControl } from '../domain/ports/hypervisor.ts';
import type { LoadedMachine, TransferSource, TransferTarget } from '../engine/memory/machine-state.ts';

/** A machine inside this process, whose memory and devices an engine transfers. */
export interface EmbeddedMachine extends RunControl, GuestView {
  readonly dirty: DirtyPort;
  transferSource(): TransferSource;
  /** For a migration that comes in: RAM goes straight into the machine's own memory, which must not be in use. */
  transferTarget(): TransferTarget;
  /** For a load from a snapshot: memory that is not the running guest's. Ends with `adopt` or `discardLoadTarget`. */
  loadTarget(): TransferTarget;
  /** After a load that failed or was given up: the memory of `loadTarget` is given back. Harmless without one. */
  discardLoadTarget(): void;
  /**
   * Takes over what an engine loaded, for the next vCPU that runs; holds stay as they are. vCPUs must stand still.
   * @throws Error if it cannot be taken over; then the machine is as it was before.
   */
  adopt(loaded: LoadedMachine): void;
  /** Ends the vCPU threads. */
  close(): Promise<void>;
}
