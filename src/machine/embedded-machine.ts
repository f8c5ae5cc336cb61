import type { DirtyPort, GuestView, RunControl } from '../domain/ports/hypervisor.ts';
import type { LoadedMachine, TransferSource, TransferTarget } from '../engine/memory/machine-state.ts';

/** A machine inside this process, whose memory and devices an engine transfers. */
export interface EmbeddedMachine extends RunControl, GuestView {
  readonly dirty: DirtyPort;
  transferSource(): TransferSource;
  /** For an incoming migration. RAM is received directly into the machine's memory, which must not be in use. */
  transferTarget(): TransferTarget;
  /** For loading a snapshot: memory separate from the running guest's, until `adopt` or `discardLoadTarget`. */
  loadTarget(): TransferTarget;
  /**
   * Releases the memory of `loadTarget` after a load that failed or was cancelled. Without such memory it has no effect.
   */
  discardLoadTarget(): void;
  /**
   * Replaces the guest by the loaded one. Holds do not change. vCPUs must stand still.
   * @throws Error if it cannot be taken over; then the machine is as it was before.
   */
  adopt(loaded: LoadedMachine): void;
  /** Ends the vCPU threads. */
  close(): Promise<void>;
}
