import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { GuestMemory } from '../../engine/memory/machine-state.ts';
import type { WorkerThreads } from '../../engine/memory/worker-memory.ts';
import type { VcpuPlan } from './vcpu.ts';

/** A vCPU needs little heap, because the guest's RAM is shared memory. These limits allow it to load its modules. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4, stackSizeMb: 1 };

export type VcpuThreadListener = {
  onPanic(): void;
  /** The thread has ended, with or without an order. */
  onDeath(detail: string): void;
};

export type VcpuThreadOptions = { readonly listener: VcpuThreadListener; readonly workers: WorkerThreads };

/** The main thread's handle of the thread of one vCPU. */
export class VcpuThread {
  readonly #ended: Promise<void>;
  readonly #memoryPort: MessagePort;
  #isDead = false;

  constructor(plan: Omit<VcpuPlan, 'memoryPort'>, { listener, workers }: VcpuThreadOptions) {
    const { port1, port2 } = new MessageChannel();
    this.#memoryPort = port1;
    const workerData: VcpuPlan = { ...plan, memoryPort: port2 };
    const worker = new Worker(new URL('./vcpu-worker.ts', import.meta.url), {
      name: `vcpu${plan.vcpu}`,
      workerData,
      transferList: plan.disk === null ? [port2] : [port2, plan.disk.port],
      resourceLimits: RESOURCE_LIMITS,
    });
    workers.counted(worker, 'vcpu');
    let detail = 'it ended by itself';
    worker.on('message', () => listener.onPanic());
    worker.on('error', (error) => {
      detail = String(error);
    });
    this.#ended = new Promise((resolve) => {
      worker.on('exit', () => {
        this.#isDead = true;
        this.#memoryPort.close();
        listener.onDeath(detail);
        resolve();
      });
    });
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** Sends the memory for the next generation. */
  sendMemory(memory: GuestMemory): void {
    this.#memoryPort.postMessage(memory);
  }

  /** Resolves when the thread has ended. It ends after the shutdown hold is set. */
  whenEnded(): Promise<void> {
    return this.#ended;
  }
}
