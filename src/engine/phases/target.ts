import { SharedStatus } from '../../domain/migration/migration-status.ts';
import type { MigrationAddress, MigrationEnd, TransferError } from '../../domain/ports/migration-session.ts';
import type { IncomingChannel } from '../channels/channel.ts';
import { MAIN_CHANNEL } from '../channels/socket-listener.ts';
import { type Awaiting, openIncoming } from '../channels/transports.ts';
import { giveBackMemory } from '../memory/memory-advice.ts';
import type { FromWorker, SharedCells } from '../session/transfer-messages.ts';
import { failureOf, pendingInputRead, TransferFailure, WaitPoint } from '../session/wait-point.ts';
import { FigureBlock } from '../shared/figures.ts';
import { encodeReverse } from '../stream/return-path.ts';
import type { IncomingPlan } from '../transfer-engine.ts';
import { MachineReceiver } from './machine-receiver.ts';

/*
 * The steps of an incoming migration. Each returns the next one; null is the end.
 *
 *   listen ──→ receive ──→ adopt ──→ answer ──→ completed
 *
 * | step    | status at its end | work |
 * |---------|-------------------|------|
 * | listen  | active            | opens the address, or takes the listener that the migration before has kept; waits for a sender |
 * | receive | active            | reads the stream: RAM into guest memory, devices into `loaded` (machine-receiver.ts) |
 * | adopt   | completed         | offers the machine to the main thread, and waits until that has adopted and started it |
 * | answer  | completed         | sends SHUT 0, which confirms that the guest runs here; closes channel and listener |
 *
 * Ownership. The guest belongs to the source until the main thread moves the status to `completed` in the step `adopt`;
 * from then on it belongs to this side, also if this thread dies. Guest memory belongs to this thread in `receive`, and
 * to the machine from the offer on.
 *
 * Failure. Until the status is `completed`, a failure ends any step: the status becomes `failed`, the source receives
 * SHUT 1 (without a return path its connection is reset), and nothing of the machine has taken effect. The listener is closed,
 * or kept for the next sender if the plan says so and a sender had been accepted. A cancel ends `listen` only: the
 * main thread moves the status from `setup` to `cancelling`.
 */
type TargetStep = 'listen' | 'receive' | 'adopt' | 'answer';
type NextStep = Promise<TargetStep | null>;

/** An incoming migration from the first listen to its end. */
export class TargetMigration {
  #plan: IncomingPlan;
  readonly #status: SharedStatus;
  readonly #figures: FigureBlock;
  readonly #post: (message: FromWorker) => void;
  readonly #waitPoint: WaitPoint;
  #receiver: MachineReceiver;
  #awaiting: Awaiting | null;
  #kept: Awaiting | null = null;
  #bound: MigrationAddress | null = null;
  /** Set by the step `listen`. */
  #channel: IncomingChannel | null = null;
  #isOffered = false;
  #isStarted = false;
  #keepsListening = false;
  readonly #steps: Readonly<Record<TargetStep, () => NextStep>> = {
    listen: () => this.#listen(),
    receive: () => this.#receive(),
    adopt: () => this.#adopt(),
    answer: async () => {
      this.#answer(0);
      this.#awaiting?.close();
      return null;
    },
  };

  /** @param awaiting the listener that the migration before this one has kept, or null to open one. */
  constructor(
    { plan, cells }: { readonly plan: IncomingPlan; readonly cells: SharedCells },
    post: (message: FromWorker) => void,
    awaiting: Awaiting | null = null,
  ) {
    this.#plan = plan;
    this.#awaiting = awaiting;
    this.#status = new SharedStatus(cells.status);
    this.#figures = new FigureBlock(cells.figures);
    this.#post = post;
    this.#waitPoint = new WaitPoint(() => this.#status.read() === 'cancelling');
    this.#receiver = this.#newReceiver();
  }

  /** After the end: the listener, if another sender is expected; the caller must use it again or close it. */
  get kept(): Awaiting | null {
    return this.#kept;
  }

  /** Runs the migration; never throws. */
  async run(): Promise<MigrationEnd> {
    try {
      let step: TargetStep | null = 'listen';
      while (step !== null) step = await this.#steps[step]();
      return this.#end({ status: 'completed', error: null, guest: 'here' });
    } catch (thrown) {
      return this.#giveUp(failureOf(thrown));
    }
  }

  /** Changes the capabilities that the sender is checked against, until there is a sender. */
  setCapabilities(capabilities: readonly string[]): void {
    if (this.#channel !== null) return;
    this.#plan = { ...this.#plan, capabilities };
    this.#receiver = this.#newReceiver();
  }

  /** The main thread has adopted and started the guest. */
  started(): void {
    if (!this.#isOffered) return;
    this.#isStarted = true;
    this.#waitPoint.notify();
  }

  /** The main thread does not take the guest. */
  refused(error: TransferError): void {
    this.#fail(error);
  }

  /** The operator has ended the incoming migration. The listener is not kept. */
  abort(): void {
    this.#fail({ code: 'incoming_aborted', message: 'the incoming migration was given up' }, false);
    this.#waitPoint.notify();
  }

  async #listen(): NextStep {
    const { channels, fileRoot, deadlines } = this.#plan;
    try {
      this.#awaiting ??= openIncoming(channels.main, { fileRoot, headerMs: deadlines.stallMs });
    } catch (error) {
      throw new TransferFailure(error as TransferError);
    }
    const awaiting = this.#awaiting;
    awaiting.bound.then(
      (bound) => {
        this.#bound = bound;
        if (this.#status.read() !== 'setup') awaiting.close();
        this.#waitPoint.notify();
      },
      (error: TransferError) => this.#fail(error),
    );
    await this.#waitPoint.when(() => this.#bound !== null);
    if (this.#bound !== null) this.#post({ type: 'listening', address: this.#bound });
    awaiting.take({
      wanted: [{ kind: MAIN_CHANNEL, count: 1 }],
      complete: () => this.#hasAllChannels(),
      accepted: (channel) => this.#accept(channel),
      rejected: (error) => this.#post({ type: 'rejected', error }),
      divided: (error) => this.#fail(error),
    });
    await this.#waitPoint.when(() => this.#channel !== null);
    return 'receive';
  }

  async #receive(): NextStep {
    this.#receiver.begin(this.#accepted);
    await this.#waitPoint.when(() => this.#receiver.machine !== null);
    // A further connection of the sender, which shows that this is not the whole machine, came before the stream's end.
    await pendingInputRead();
    this.#waitPoint.check();
    return 'adopt';
  }

  async #adopt(): NextStep {
    const { machine } = this.#receiver;
    if (machine === null) throw new Error('the step receive comes first');
    this.#isOffered = true;
    this.#post({ type: 'loaded', machine });
    await this.#waitPoint.when(() => this.#isStarted);
    return 'answer';
  }

  get #accepted(): IncomingChannel {
    if (this.#channel === null) throw new Error('the step listen comes first');
    return this.#channel;
  }

  #newReceiver(): MachineReceiver {
    return new MachineReceiver({
      plan: this.#plan,
      figures: this.#figures,
      post: this.#post,
      loaded: () => this.#waitPoint.notify(),
      failed: (error) => this.#fail(error),
    });
  }

  #accept(channel: IncomingChannel): void {
    // The status differs from `setup` if the wait was ended; the message about it may still be on its way.
    if (!this.#status.transition('setup', 'active')) {
      channel.reset();
      return;
    }
    this.#figures.touch();
    this.#post({ type: 'status', status: 'active' });
    this.#channel = channel;
    this.#waitPoint.notify();
  }

  #hasAllChannels(): void {
    if (this.#channel !== null && !this.#plan.keepListening) this.#awaiting?.acceptNoMore();
  }

  /** Ends the present step, unless the migration has ended or the main thread has taken the guest. */
  #fail(error: TransferError, keepsListening = this.#plan.keepListening): void {
    const status = this.#status.read();
    if ((status !== 'setup' && status !== 'active') || !this.#status.transition(status, 'failed')) return;
    this.#keepsListening = keepsListening;
    this.#waitPoint.fail(error);
  }

  #giveUp(error: TransferError): MigrationEnd {
    this.#fail(error);
    this.#receiver.end();
    if (this.#status.transition('cancelling', 'cancelled')) {
      this.#awaiting?.close();
      return this.#end({ status: 'cancelled', error: null, guest: 'there' });
    }
    // The guest runs here, also if the answer could not be sent.
    if (this.#status.read() === 'completed') return this.#end({ status: 'completed', error: null, guest: 'here' });
    this.#answer(1);
    if (this.#keepsListening && this.#channel !== null && this.#awaiting?.isListener === true) {
      this.#keep(this.#awaiting);
    } else {
      this.#awaiting?.close();
    }
    return this.#end({ status: 'failed', error, guest: 'there' });
  }

  /** Sends the outcome to the source, 0 for success, and closes the channel. */
  #answer(shut: 0 | 1): void {
    if (this.#receiver.hasReturnPath) this.#channel?.write(encodeReverse({ type: 'shut', value: shut }));
    if (this.#receiver.hasReturnPath || shut === 0) this.#channel?.close();
    else this.#channel?.reset();
  }

  /** Keeps the listener. This thread continues, so memory that belongs to it alone is given back. */
  #keep(listener: Awaiting): void {
    this.#kept = listener;
    const { memory } = this.#receiver;
    if (this.#plan.target.form === 'image' && memory !== null) giveBackMemory(memory);
  }

  #end(end: MigrationEnd): MigrationEnd {
    this.#figures.end();
    this.#post({ type: 'status', status: end.status });
    return end;
  }
}
