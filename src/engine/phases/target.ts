import { StatusWord } from '../../domain/migration/migration-status.ts';
import type { MigrationEnd, TransferError } from '../../domain/ports/migration-session.ts';
import type { IncomingChannel } from '../channels/channel.ts';
import { type Awaiting, openIncoming, transportOf } from '../channels/transports.ts';
import { RateWindow } from '../convergence/pacing.ts';
import { giveBackMemory } from '../memory/memory-advice.ts';
import { InputBuffer } from '../pages/input-buffer.ts';
import type { FromWorker, SharedCells } from '../session/transfer-messages.ts';
import { whatWaitsIsRead } from '../session/wait-point.ts';
import { FigureBlock } from '../shared/figures.ts';
import { encodeReverse } from '../stream/return-path.ts';
import type { StreamCommand } from '../stream/stream-elements.ts';
import { readError } from '../stream/target-checks.ts';
import { TargetStream } from '../stream/target-stream.ts';
import type { IncomingPlan } from '../transfer-engine.ts';
import { PingAnswers } from './ping-answers.ts';

/** How often the watchdog looks whether the stream gets on. */
const WATCH_MS = 250;
/**
 * A sender whose configuration was refused is given this long to say more, which tells the id that both sides share. And
 * a stream may lack its vmdescription, and a sender that awaits the target's word does not close its side: after this
 * long without another byte behind the end mark the end mark alone counts.
 */
const DESCRIPTION_MS = 1000;

const SENDER_LEFT = '; the sender closed the connection: it cancelled the migration, or it failed or ended there';

/**
 * An incoming migration from the first listen to its end. The guest is this side's only after `started`. With
 * `keepListening` a migration that failed leaves its listener to the next one: see `kept`.
 */
export class TargetMigration {
  #plan: IncomingPlan;
  readonly #status: StatusWord;
  readonly #figures: FigureBlock;
  readonly #post: (message: FromWorker) => void;
  #stream: TargetStream;
  readonly #end = Promise.withResolvers<MigrationEnd>();
  #awaiting: Awaiting | null;
  #kept: Awaiting | null = null;
  #channel: IncomingChannel | null = null;
  #watch: NodeJS.Timeout | null = null;
  readonly #answers = new PingAnswers();
  #hasReturnPath = false;
  #isLoaded = false;
  #isEnded = false;
  #progress = { value: -1, atMs: 0 };
  #window = new RateWindow(0);
  #advance = { value: -1, atMs: 0 };

  /** `awaiting`: the listener that the migration before this one has kept, or null to open one. */
  constructor(
    { plan, cells }: { readonly plan: IncomingPlan; readonly cells: SharedCells },
    post: (message: FromWorker) => void,
    awaiting: Awaiting | null = null,
  ) {
    this.#plan = plan;
    this.#awaiting = awaiting;
    this.#status = new StatusWord(cells.status);
    this.#figures = new FigureBlock(cells.figures);
    this.#post = post;
    this.#stream = new TargetStream(plan, (command) => this.#obey(command), new InputBuffer());
  }

  /** After the end: the listener, if another sender is to be awaited. Whoever takes it closes it. */
  get kept(): Awaiting | null {
    return this.#kept;
  }

  /** Listens, loads, and resolves at the end; never rejects. */
  run(): Promise<MigrationEnd> {
    this.#listen().catch((error: TransferError) => this.#fail(error));
    return this.#end.promise;
  }

  /** Capabilities count as they are when the sender comes. */
  setCapabilities(capabilities: readonly string[]): void {
    if (this.#channel !== null) return;
    this.#plan = { ...this.#plan, capabilities };
    this.#stream = new TargetStream(this.#plan, (command) => this.#obey(command), new InputBuffer());
  }

  /** The guest was adopted and runs: the source may let go of its own. */
  started(): void {
    if (this.#isEnded || !this.#isLoaded) return;
    if (this.#hasReturnPath) this.#channel?.write(encodeReverse({ type: 'shut', value: 0 }));
    this.#channel?.close();
    this.#awaiting?.close();
    this.#finish({ status: 'completed', error: null, guest: 'here' });
  }

  /** The guest could not be adopted. */
  refused(error: TransferError): void {
    this.#fail(error, this.#plan.keepListening);
  }

  /** The operator gave up waiting, or loading: a listener is closed, too. */
  abort(): void {
    if (this.#status.read() === 'cancelling') this.#letGo();
    else this.#fail({ code: 'incoming_aborted', message: 'the incoming migration was given up' }, false);
  }

  async #listen(): Promise<void> {
    const { address, fileRoot, deadlines } = this.#plan;
    this.#awaiting ??= openIncoming(address, { fileRoot, headerMs: deadlines.stallMs });
    const bound = await this.#awaiting.bound;
    if (this.#isEnded) return this.#awaiting.close();
    this.#post({ type: 'listening', address: bound });
    this.#awaiting.take({
      accepted: (channel) => this.#accept(channel),
      rejected: (error) => this.#post({ type: 'rejected', error }),
      divided: (error) => this.#fail(error),
    });
  }

  #accept(channel: IncomingChannel): void {
    // The word may say that the operator has ended the wait; the order to let go is on its way then.
    if (this.#isEnded || !this.#move('setup', 'active')) {
      channel.reset();
      return;
    }
    this.#channel = channel;
    if (!this.#plan.keepListening) this.#awaiting?.acceptNoMore();
    this.#progress = { value: -1, atMs: performance.now() };
    this.#window = new RateWindow(performance.now());
    this.#advance = { ...this.#progress };
    this.#watch = setInterval(() => this.#watchProgress(), WATCH_MS);
    channel.onEnd((error) => this.#channelEnded(error));
    channel.read(
      () => this.#stream.input.room(),
      (count) => this.#received(count),
    );
  }

  #received(count: number): void {
    if (this.#isEnded) return;
    this.#figures.add('transferredBytes', count);
    this.#window.sent(count, 0);
    // The stream was whole and is being taken over: what still comes behind it changes nothing any more.
    if (this.#isLoaded) return;
    this.#stream.input.received(count);
    this.#attempt(() => this.#stream.advance());
  }

  #channelEnded(error: TransferError | null): void {
    if (this.#isLoaded || this.#isEnded) return;
    const why = transportOf(this.#plan.address).hasSender ? SENDER_LEFT : '';
    if (error !== null) this.#fail({ code: error.code, message: `${error.message} (${this.#where()})${why}` });
    else this.#attempt(() => this.#stream.end(), why);
  }

  /** Runs a piece of the reader; an exception of it fails the migration, whatever it is. */
  #attempt(work: () => void, why = ''): void {
    try {
      work();
    } catch (error) {
      const { code, message } = readError(error);
      this.#fail({ code, message: `${message}${why}` });
      return;
    }
    const { normal, zero } = this.#stream.pages;
    this.#figures.set('normalPages', normal);
    this.#figures.set('duplicatePages', zero);
    this.#figures.set('totalBytes', this.#stream.ramBytes);
    if (this.#stream.loaded === null) return;
    this.#isLoaded = true;
    const machine = this.#stream.loaded;
    // A connection that shows that this is not the whole machine has come before the stream's end.
    void whatWaitsIsRead().then(() => {
      if (!this.#isEnded) this.#post({ type: 'loaded', machine });
    });
  }

  #obey(command: StreamCommand): void {
    if (command.name === 'open-return-path') {
      this.#hasReturnPath = true;
      if (this.#plan.capabilities.includes('switchover-ack'))
        this.#channel?.write(encodeReverse({ type: 'switchover-ack' }));
    } else if (command.name === 'ping' && this.#hasReturnPath) {
      const id = this.#answers.answer(command.value, this.#channel);
      if (id === null) return;
      this.#post({ type: 'shared', id });
      this.#stream.throwIfRefused();
    }
  }

  #watchProgress(): void {
    if (!this.#isLoaded) this.#measureRate(performance.now());
    const late = this.#late();
    // A process that was stopped reads what came meanwhile before it calls its sender late.
    if (late !== null && !this.#isLoaded) void whatWaitsIsRead().then(() => this.#judgeLate());
  }

  #judgeLate(): void {
    const message = this.#late();
    if (message === null || this.#isLoaded || this.#isEnded) return;
    const silentMs = performance.now() - this.#progress.atMs;
    if (this.#stream.refusal !== null || (silentMs >= DESCRIPTION_MS && this.#mayBeOver())) {
      this.#attempt(() => this.#stream.end());
    } else {
      this.#fail({ code: 'deadline_exceeded', message: `${message} (${this.#where()})` });
    }
  }

  /**
   * What the sender is late with, or null. Whole elements count as progress, not bytes: a peer that sends a byte a second
   * does not get on. And parts that bring nothing new, pings, or one page again and again get on, but not ahead.
   */
  #late(): string | null {
    const now = performance.now();
    const { stallMs, advanceMs } = this.#plan.deadlines;
    const value = this.#stream.progress;
    if (value !== this.#progress.value) {
      this.#progress = { value, atMs: now };
      this.#figures.touch();
    }
    const advance = this.#stream.ram.milestone;
    if (advance !== this.#advance.value) this.#advance = { value: advance, atMs: now };
    const silentMs = now - this.#progress.atMs;
    const aheadMs = now - this.#advance.atMs;
    const limitMs = this.#mayBeOver() ? Math.min(DESCRIPTION_MS, stallMs) : stallMs;
    if (silentMs >= limitMs) return `nothing whole came for ${Math.round(silentMs)} ms`;
    return aheadMs >= advanceMs ? `nothing new came for ${Math.round(aheadMs)} ms` : null;
  }

  #mayBeOver(): boolean {
    return this.#stream.refusal !== null || (this.#hasReturnPath && this.#stream.mayEndHere);
  }

  /** The bytes that came since the last look, in a second; 0 while nothing comes. */
  #measureRate(nowMs: number): void {
    const window = this.#window.close(nowMs);
    if (window === null) return;
    this.#figures.set('bandwidth', (window.mbps * 1e6) / 8);
    this.#figures.touch();
  }

  #where(): string {
    return `at byte ${this.#stream.input.takenBytes} of the stream, in its part '${this.#stream.phase}'`;
  }

  #move(from: 'setup', to: 'active'): boolean {
    if (!this.#status.transition(from, to)) return false;
    this.#figures.touch();
    this.#post({ type: 'status', status: to });
    return true;
  }

  /** Fails, unless the guest has been taken over: then the status word is no longer this thread's to change. */
  #fail(error: TransferError, keepsListening = this.#plan.keepListening): void {
    const status = this.#status.read();
    if (this.#isEnded || (status !== 'setup' && status !== 'active')) return;
    if (!this.#status.transition(status, 'failed')) return;
    this.#isEnded = true;
    if (this.#hasReturnPath && this.#channel !== null) {
      this.#channel.write(encodeReverse({ type: 'shut', value: 1 }));
      this.#channel.close();
    } else {
      this.#channel?.reset();
    }
    if (keepsListening && this.#channel !== null && this.#awaiting?.isListener === true) this.#keep(this.#awaiting);
    else this.#awaiting?.close();
    this.#finish({ status: 'failed', error, guest: 'there' });
  }

  /** The thread lives on: what was loaded into memory of its own is of use to nobody. */
  #keep(listener: Awaiting): void {
    this.#kept = listener;
    const { memory } = this.#stream;
    if (this.#plan.target.form === 'image' && memory !== null) giveBackMemory(memory);
  }

  /** The wait was ended before a sender came. */
  #letGo(): void {
    if (this.#isEnded || !this.#status.transition('cancelling', 'cancelled')) return;
    this.#awaiting?.close();
    this.#finish({ status: 'cancelled', error: null, guest: 'there' });
  }

  #finish(end: MigrationEnd): void {
    this.#isEnded = true;
    if (this.#watch !== null) clearInterval(this.#watch);
    this.#figures.end();
    this.#post({ type: 'status', status: end.status });
    this.#end.resolve(end);
  }
}
