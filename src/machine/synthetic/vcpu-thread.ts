import { Worker } from 'node:worker_threads';
import type { VcpuPlan } from './vcpu.ts';

/** A vCPU needs next to no heap: its guest's RAM is shared memory. What it gets is for loading its modules. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 };

export type VcpuThreadListener = {
  onPanic(): void;
  /** The thread has ended, whether it should or not. */
  onDeath(detail: string): void;
};

/** The thread of one vCPU, as the main thread sees it. */
export class VcpuThread {
  readonly #ended: Promise<void>;
  #isDead = false;

  constructor(plan: VcpuPlan, listener: VcpuThreadListener) {
    const worker = new Worker(new URL('./vcpu-worker.ts', import.meta.url), {
      name: `vcpu${plan.vcpu}`,
      workerData: plan,
      resourceLimits: RESOURCE_LIMITS,
    });
    let detail = 'it ended by itself';
    worker.on('message', () => listener.onPanic());
    worker.on('error', (error) => {
      detail = String(error);
    });
    this.#ended = new Promise((resolve) => {
      worker.on('exit', () => {
        this.#isDead = true;
        listener.onDeath(detail);
        resolve();
      });
    });
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Resolves when the thread has ended, which it does by itself once the shutdown hold is set. */
  whenEnded(): Promise<void> {
    return this.#ended;
  }
}
