import { type MigrationStatus, SharedStatus } from '../../../src/domain/migration/migration-status.ts';
import type {
  MigrationAddress,
  MigrationEnd,
  TransferError,
  TransferListener,
} from '../../../src/domain/ports/migration-session.ts';
import type { Clock } from '../../../src/domain/ports/process.ts';
import type { LiveParameters, MigrationFigures } from '../../../src/domain/settings/declared-settings.ts';
import type { LoadedMachine } from '../../../src/engine/memory/machine-state.ts';
import { FigureBlock } from '../../../src/engine/shared/figures.ts';
import type {
  EngineListener,
  IncomingPlan,
  IncomingTransfer,
  OutgoingPlan,
  OutgoingTransfer,
  TransferEngine,
} from '../../../src/engine/transfer-engine.ts';

export const NO_FIGURES: MigrationFigures = { ...new FigureBlock().read(), expectedDowntimeMs: 300 };

/** The times of a fake transfer. With a clock they follow the clock, unless a test sets them. */
class Age {
  readonly #clock: Pick<Clock, 'monotonic'> | null;
  #zeroMs = 0;

  constructor(clock: Pick<Clock, 'monotonic'> | null) {
    this.#clock = clock;
  }

  countFrom(agoMs: number): void {
    this.#zeroMs = (this.#clock?.monotonic() ?? 0) - agoMs;
  }

  in(figures: MigrationFigures): MigrationFigures {
    if (this.#clock === null || figures.totalTimeMs !== 0) return figures;
    return { ...figures, totalTimeMs: this.#clock.monotonic() - this.#zeroMs };
  }
}

/** An outgoing transfer that a test controls step by step, with the real shared status. */
export class FakeOutgoing implements OutgoingTransfer {
  readonly plan: OutgoingPlan;
  readonly listener: TransferListener;
  readonly status = new SharedStatus();
  readonly parametersSet: LiveParameters[] = [];
  readonly ended: Promise<MigrationEnd>;
  continued = 0;
  currentFigures: MigrationFigures = NO_FIGURES;
  readonly #age: Age;
  #end!: (end: MigrationEnd) => void;
  #break!: (error: unknown) => void;

  constructor(plan: OutgoingPlan, listener: TransferListener, clock: Clock | null = null) {
    this.#age = new Age(clock);
    this.plan = plan;
    this.listener = listener;
    this.status.transition('none', 'setup');
    this.ended = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#break = reject;
    });
  }

  countFrom(agoMs: number): void {
    this.#age.countFrom(agoMs);
  }

  figures(): MigrationFigures {
    return this.#age.in(this.currentFigures);
  }

  threadId(): number | null {
    return 4711;
  }

  setFigures(change: Partial<MigrationFigures>): void {
    this.currentFigures = { ...this.currentFigures, revision: this.currentFigures.revision + 1, ...change };
  }

  setParameters(parameters: LiveParameters): void {
    this.parametersSet.push(parameters);
  }

  continueSwitchover(): void {
    this.continued += 1;
  }

  cancel(): ReturnType<SharedStatus['cancel']> {
    return this.status.cancel();
  }

  /** Changes the status as the worker does and informs the domain; false if a cancel came first. */
  step(to: MigrationStatus): boolean {
    const from = this.status.read();
    if (from === 'cancelling' || !this.status.transition(from, to)) return false;
    this.listener.status(to);
    return true;
  }

  end(end: MigrationEnd): void {
    this.#end(end);
  }

  /** Ends as the worker does: completed or failed if the status allows it, otherwise cancelled. */
  finish(status: 'completed' | 'failed', error: TransferError | null = null): void {
    if (this.step(status)) {
      this.end({ status, error, guest: status === 'completed' ? 'there' : 'here' });
    } else {
      this.letGo();
    }
  }

  /** The steps of the worker after a successful cancel. */
  letGo(): void {
    this.listener.guestResumed();
    this.status.transition('cancelling', 'cancelled');
    this.end({ status: 'cancelled', error: null, guest: 'here' });
  }

  break(error: unknown): void {
    this.#break(error);
  }
}

/** An incoming transfer that a test controls step by step. */
export class FakeIncoming implements IncomingTransfer {
  readonly plan: IncomingPlan;
  readonly listener: TransferListener;
  readonly status = new SharedStatus();
  readonly listening: Promise<MigrationAddress>;
  readonly loaded: Promise<LoadedMachine>;
  readonly ended: IncomingTransfer['ended'];
  readonly calls: string[] = [];
  currentFigures: MigrationFigures = NO_FIGURES;
  readonly #age: Age;
  #listen!: (address: MigrationAddress) => void;
  #cannotListen!: (error: TransferError) => void;
  #load!: (loaded: LoadedMachine) => void;
  #end!: (end: Awaited<IncomingTransfer['ended']>) => void;

  constructor(plan: IncomingPlan, listener: TransferListener, clock: Clock | null = null) {
    this.#age = new Age(clock);
    this.plan = plan;
    this.listener = listener;
    this.status.transition('none', 'setup');
    this.listening = new Promise((resolve, reject) => {
      this.#listen = resolve;
      this.#cannotListen = reject;
    });
    this.loaded = new Promise((resolve) => {
      this.#load = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  countFrom(agoMs: number): void {
    this.#age.countFrom(agoMs);
  }

  figures(): MigrationFigures {
    return this.#age.in(this.currentFigures);
  }

  threadId(): number | null {
    return 4712;
  }

  setFigures(change: Partial<MigrationFigures>): void {
    this.currentFigures = { ...this.currentFigures, revision: this.currentFigures.revision + 1, ...change };
  }

  listen(address: MigrationAddress = this.plan.channels.main): void {
    this.#listen(address);
  }

  cannotListen(error: TransferError): void {
    this.#cannotListen(error);
  }

  activate(): void {
    this.status.transition('setup', 'active');
    this.listener.status('active');
  }

  load(globalState = 'running'): void {
    this.#load({ globalState, state: { form: 'devices', bodies: [], memory: { segments: [], blocks: [] } } });
  }

  /** An unrelated connection. */
  reject(error: TransferError): void {
    this.listener.rejected(error);
  }

  fail(error: TransferError, listener: EngineListener | null = null): void {
    this.#end({ status: 'failed', error, listener });
  }

  cancel(): void {
    this.calls.push('cancel');
    this.#end({ status: 'failed', error: { code: 'incoming_aborted', message: 'cancelled' }, listener: null });
  }

  stopListening(): boolean {
    if (!this.status.transition('setup', 'cancelling')) return false;
    this.calls.push('stop-listening');
    this.#end({ status: 'cancelled', error: null, listener: null });
    return true;
  }

  get isOpen(): boolean {
    return !this.calls.some((call) => call === 'abort' || call.startsWith('refused'));
  }

  started(): void {
    this.calls.push('started');
    this.#end({ status: 'completed', error: null, listener: null });
  }

  setCapabilities(capabilities: readonly string[]): void {
    this.calls.push(`capabilities ${capabilities.join(' ')}`);
  }

  refused(error: TransferError): void {
    this.calls.push(`refused ${error.code}`);
    this.#end({ status: 'failed', error, listener: null });
  }

  abort(): void {
    this.calls.push('abort');
    this.#end({ status: 'failed', error: { code: 'incoming_aborted', message: 'given up' }, listener: null });
  }
}

/** An engine that records its transfers, which a test controls. */
export class FakeEngine implements TransferEngine {
  readonly outgoing: FakeOutgoing[] = [];
  readonly incoming: FakeIncoming[] = [];
  readonly #clock: Clock | null;

  constructor(clock: Clock | null = null) {
    this.#clock = clock;
  }

  startOutgoing(plan: OutgoingPlan, listener: TransferListener): FakeOutgoing {
    const transfer = new FakeOutgoing(plan, listener, this.#clock);
    this.outgoing.push(transfer);
    return transfer;
  }

  startIncoming(plan: IncomingPlan, listener: TransferListener): FakeIncoming {
    const transfer = new FakeIncoming(plan, listener, this.#clock);
    this.incoming.push(transfer);
    return transfer;
  }

  async close(): Promise<void> {}
}
