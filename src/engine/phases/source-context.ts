import { type MigrationStatus, SharedStatus } from '../../domain/migration/migration-status.ts';
import type { TransferError } from '../../domain/ports/migration-session.ts';
import { VcpuControl } from '../memory/vcpu-control.ts';
import type { FromWorker, SharedCells } from '../session/transfer-messages.ts';
import { CancelledSignal, WaitPoint } from '../session/wait-point.ts';
import { FigureBlock } from '../shared/figures.ts';
import { Heartbeat } from '../shared/heartbeat.ts';
import { LiveParameterCells } from '../shared/live-parameters.ts';
import type { OutgoingPlan } from '../transfer-engine.ts';

/** The state that all steps of an outgoing migration share. */
export type SourceContext = {
  readonly plan: OutgoingPlan;
  readonly status: SharedStatus;
  readonly figures: FigureBlock;
  readonly heartbeat: Heartbeat;
  readonly live: LiveParameterCells;
  readonly waitPoint: WaitPoint;
  readonly disks: DiskHandover;
  readonly control: VcpuControl | null;
  readonly post: (message: FromWorker) => void;
  has(capability: string): boolean;
  /** Moves the status and reports it. @throws CancelledSignal if a cancel came first. */
  move(from: MigrationStatus, to: MigrationStatus): void;
};

/** The context of a new migration. */
export function createSourceContext(
  plan: OutgoingPlan,
  cells: SharedCells,
  post: (message: FromWorker) => void,
): SourceContext {
  const status = new SharedStatus(cells.status);
  const figures = new FigureBlock(cells.figures);
  const capabilities = new Set(plan.capabilities);
  const waitPoint = new WaitPoint(() => status.read() === 'cancelling');
  return {
    plan,
    status,
    figures,
    heartbeat: new Heartbeat(cells.heartbeat),
    live: new LiveParameterCells(cells.live),
    waitPoint,
    disks: new DiskHandover(waitPoint, post),
    control: plan.source.vcpuControl === null ? null : new VcpuControl(plan.source.vcpuControl),
    post,
    has: (capability) => capabilities.has(capability),
    move: (from, to) => {
      if (!status.transition(from, to)) throw new CancelledSignal();
      figures.touch();
      post({ type: 'status', status: to });
    },
  };
}

/** The disks of a guest that is handed over: the main thread releases them while the last pages are sent. */
export class DiskHandover {
  readonly #waitPoint: WaitPoint;
  readonly #post: (message: FromWorker) => void;
  #isRequested = false;
  #isReleased = false;

  constructor(waitPoint: WaitPoint, post: (message: FromWorker) => void) {
    this.#waitPoint = waitPoint;
    this.#post = post;
  }

  /**
   * True once the disks were requested. After that the guest may continue here only when the main thread has activated
   * the disks again.
   */
  get isRequested(): boolean {
    return this.#isRequested;
  }

  get isReleased(): boolean {
    return this.#isReleased;
  }

  request(): void {
    this.#isRequested = true;
    this.#post({ type: 'release-disks' });
  }

  /** The main thread's answer. An error fails the migration. */
  answered(error: TransferError | null): void {
    this.#isReleased = error === null;
    if (error === null) this.#waitPoint.notify();
    else this.#waitPoint.fail(error);
  }
}
