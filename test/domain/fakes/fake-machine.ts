import type {
  DirtyPort,
  DirtyRateFigures,
  DirtyRatePlan,
  GuestPanic,
  HoldReason,
  MachineDescription,
  MachineKind,
  Workload,
} from '../../../src/domain/ports/hypervisor.ts';
import type { LoadedMachine, TransferSource, TransferTarget } from '../../../src/engine/memory/machine-state.ts';
import type { EmbeddedMachine } from '../../../src/machine/embedded-machine.ts';

const NO_MEMORY = { segments: [], blocks: [] };

/** Returns measurements that the test provides. */
export class FakeDirty implements DirtyPort {
  ringEntries: number | null = null;
  readonly plans: DirtyRatePlan[] = [];
  readonly limits = new Map<number, number>();
  rates: readonly number[] = [];
  shares: readonly number[] = [];
  #measured: PromiseWithResolvers<DirtyRateFigures> | null = null;

  measure(plan: DirtyRatePlan, signal: AbortSignal): Promise<DirtyRateFigures> {
    const measured = Promise.withResolvers<DirtyRateFigures>();
    signal.addEventListener('abort', () => measured.reject(signal.reason));
    this.plans.push(plan);
    this.#measured = measured;
    return measured.promise;
  }

  found(figures: DirtyRateFigures): void {
    this.#measured?.resolve(figures);
  }

  failed(error: unknown): void {
    this.#measured?.reject(error);
  }

  limit(vcpu: number, mibPerSecond: number | null): void {
    if (mibPerSecond === null) this.limits.delete(vcpu);
    else this.limits.set(vcpu, mibPerSecond);
  }

  currentRates(): readonly number[] {
    return this.rates;
  }

  heldShares(): readonly number[] {
    return this.shares;
  }
}

/** A machine that only records its holds. */
export class FakeMachine implements EmbeddedMachine {
  readonly kind: MachineKind;
  readonly canRun: boolean;
  isLoaded: boolean;
  adopted: LoadedMachine | null = null;
  refusal: Error | null = null;
  discardedLoads = 0;
  readonly held = new Set<HoldReason>();
  readonly dirty = new FakeDirty();
  vcpus: number;
  #workload: Workload = { rate: 1, span: 4096, pattern: 'hot' };
  #panic: GuestPanic | null = null;
  #panicListener: (panic: GuestPanic) => void = () => {};

  constructor(kind: MachineKind = 'synthetic') {
    this.kind = kind;
    this.canRun = kind !== 'image';
    this.vcpus = this.canRun ? 1 : 0;
    this.isLoaded = kind !== 'image';
  }

  describe(): MachineDescription {
    const guest = {
      ticks: 1,
      pagesChecked: 2,
      pagesWritten: 3,
      panic: this.#panic,
      workload: this.#workload,
      disk: null,
    };
    const machineName = this.isLoaded ? 'fake-machine' : null;
    return { machineName, ramBlocks: [], vcpus: this.vcpus, guest: this.canRun ? guest : null };
  }

  async hold(reason: HoldReason): Promise<void> {
    this.held.add(reason);
  }

  release(reason: HoldReason): void {
    this.held.delete(reason);
  }

  isHeldFor(reason: HoldReason): boolean {
    return this.held.has(reason);
  }

  get runs(): boolean {
    return this.canRun && this.held.size === 0;
  }

  transferSource(): TransferSource {
    return { machineName: 'fake', memory: NO_MEMORY, vcpuControl: null, state: { form: 'devices', devices: [] } };
  }

  transferTarget(): TransferTarget {
    return { form: 'devices', machineName: 'fake', memory: NO_MEMORY, devices: [] };
  }

  loadTarget(): TransferTarget {
    return this.transferTarget();
  }

  discardLoadTarget(): void {
    this.discardedLoads += 1;
  }

  clockNs(): bigint {
    return this.canRun ? 100_000_000n : 0n;
  }

  adopt(loaded: LoadedMachine): void {
    if (this.refusal !== null) throw this.refusal;
    this.adopted = loaded;
    this.isLoaded = true;
  }

  console(): string | null {
    return this.canRun ? 'tick 1\n' : null;
  }

  setWorkload(change: Partial<Workload>): void {
    if (change.rate !== undefined && change.rate < 0) throw new RangeError('rate is below 0');
    this.#workload = { ...this.#workload, ...change };
  }

  onPanic(listener: (panic: GuestPanic) => void): void {
    this.#panicListener = listener;
  }

  panic(kind = 'torn'): void {
    this.held.add('panic');
    this.#panic = { kind, address: 4096, detail: 'a page is torn' };
    this.#panicListener(this.#panic);
  }

  async close(): Promise<void> {}
}
