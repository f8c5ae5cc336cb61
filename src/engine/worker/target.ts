import { StatusWord } from '../../domain/migration/lifecycle.ts';
import type { IncomingPlan, MigrationEnd, TransferError } from '../../domain/transfer-port.ts';
import { FigureBlock, sharedMicroseconds } from '../figures.ts';
import type { FromWorker, SharedWords } from '../messages.ts';
import { StreamError } from '../stream/byte-reader.ts';
import type { StreamCommand } from '../stream/command.ts';
import { encodeReverse } from '../stream/return-path.ts';
import type { IncomingChannel } from '../transport/channel.ts';
import { type Awaiting, openIncoming } from '../transport/open.ts';
import { InputBuffer } from './input-buffer.ts';
import { TargetStream } from './target-stream.ts';

/** How often the watchdog looks whether the stream gets on. */
const WATCH_MS = 250;
/**
 * A stream may lack its vmdescription, and a sender that awaits the target's word does not close its side: after this
 * long without another byte behind the end mark the end mark alone counts.
 */
const DESCRIPTION_MS = 1000;

/** An incoming migration from the first listen to its end. The guest is this side's only after `started`. */
export class TargetMigration {
  #plan: IncomingPlan;
  readonly #status: StatusWord;
  readonly #figures: FigureBlock;
  readonly #post: (message: FromWorker) => void;
  #stream: TargetStream;
  readonly #end = Promise.withResolvers<MigrationEnd>();
  #awaiting: Awaiting | null = null;
  #channel: IncomingChannel | null = null;
  #watch: NodeJS.Timeout | null = null;
  #hasReturnPath = false;
  #isLoaded = false;
  #isEnded = false;
  #progress = { value: -1, atMs: 0 };

  constructor(plan: IncomingPlan, words: SharedWords, post: (message: FromWorker) => void) {
    this.#plan = plan;
    this.#status = new StatusWord(words.status);
    this.#figures = new FigureBlock(words.figures);
    this.#post = post;
    this.#stream = new TargetStream(plan, (command) => this.#obey(command), new InputBuffer());
  }

  /** Listens, loads, and resolves at the end; never rejects. */
  run(): Promise<MigrationEnd> {
    this.#figures.set('startedUs', sharedMicroseconds());
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
    this.#finish({ status: 'completed', error: null, guest: 'here' });
  }

  /** The guest could not be adopted, or the operator gave up waiting. */
  refused(error: TransferError): void {
    this.#fail(error);
  }

  async #listen(): Promise<void> {
    this.#awaiting = openIncoming(this.#plan.address, this.#plan.fileRoot);
    const address = await this.#awaiting.bound;
    this.#post({ type: 'listening', address });
    this.#awaiting.onSender((channel) => this.#accept(channel));
  }

  #accept(channel: IncomingChannel): void {
    this.#channel = channel;
    if (this.#isEnded) {
      channel.reset();
      return;
    }
    this.#move('setup', 'active');
    this.#progress = { value: -1, atMs: performance.now() };
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
    // The stream was whole and is being taken over: what still comes behind it changes nothing any more.
    if (this.#isLoaded) return;
    this.#stream.input.received(count);
    this.#attempt(() => this.#stream.advance());
  }

  #channelEnded(error: TransferError | null): void {
    if (this.#isLoaded || this.#isEnded) return;
    if (error !== null) this.#fail({ code: error.code, message: `${error.message} (${this.#where()})` });
    else this.#attempt(() => this.#stream.end());
  }

  /** Runs a piece of the reader; an exception of it fails the migration, whatever it is. */
  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#fail(readError(error));
      return;
    }
    const { normal, zero } = this.#stream.pages;
    this.#figures.set('normalPages', normal);
    this.#figures.set('duplicatePages', zero);
    this.#figures.set('totalBytes', this.#stream.ramBytes);
    if (this.#stream.loaded === null) return;
    this.#isLoaded = true;
    this.#post({ type: 'loaded', machine: this.#stream.loaded });
  }

  #obey(command: StreamCommand): void {
    if (command.name === 'open-return-path') {
      this.#hasReturnPath = true;
      if (this.#plan.capabilities.includes('switchover-ack'))
        this.#channel?.write(encodeReverse({ type: 'switchover-ack' }));
    } else if (command.name === 'ping' && this.#hasReturnPath) {
      this.#channel?.write(encodeReverse({ type: 'pong', value: command.value }));
    }
  }

  /** Whole elements count as progress, not bytes: a peer that sends a byte a second does not get on. */
  #watchProgress(): void {
    const now = performance.now();
    const value = this.#stream.progress;
    if (value !== this.#progress.value) {
      this.#progress = { value, atMs: now };
      this.#figures.touch();
    }
    if (this.#isLoaded) return;
    const silentMs = now - this.#progress.atMs;
    if (silentMs >= DESCRIPTION_MS && this.#hasReturnPath && this.#stream.mayEndHere) {
      this.#attempt(() => this.#stream.end());
    } else if (silentMs >= this.#plan.deadlines.stallMs) {
      const message = `nothing whole came for ${Math.round(silentMs)} ms (${this.#where()})`;
      this.#fail({ code: 'deadline_exceeded', message });
    }
  }

  #where(): string {
    return `at byte ${this.#stream.input.takenBytes} of the stream, in its part '${this.#stream.phase}'`;
  }

  #move(from: 'setup', to: 'active'): void {
    if (!this.#status.transition(from, to)) return;
    this.#figures.touch();
    this.#post({ type: 'status', status: to });
  }

  /** Fails, unless the guest has been taken over: then the status word is no longer this thread's to change. */
  #fail(error: TransferError): void {
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
    this.#awaiting?.close();
    this.#finish({ status: 'failed', error, guest: 'there' });
  }

  #finish(end: MigrationEnd): void {
    this.#isEnded = true;
    if (this.#watch !== null) clearInterval(this.#watch);
    this.#figures.end();
    this.#post({ type: 'status', status: end.status });
    this.#end.resolve(end);
  }
}

/** What went wrong while reading: the stream's fault, or ours. */
function readError(error: unknown): TransferError {
  if (error instanceof StreamError) return { code: error.code, message: error.message };
  return { code: 'engine_crashed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
