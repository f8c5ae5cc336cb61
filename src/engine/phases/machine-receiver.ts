import type { TransferError } from '../../domain/ports/migration-session.ts';
import type { IncomingChannel } from '../channels/channel.ts';
import { transportOf } from '../channels/transports.ts';
import { RateWindow } from '../convergence/pacing.ts';
import type { GuestMemory, LoadedMachine } from '../memory/machine-state.ts';
import { InputBuffer } from '../pages/input-buffer.ts';
import type { FromWorker } from '../session/transfer-messages.ts';
import { pendingInputRead } from '../session/wait-point.ts';
import type { FigureBlock } from '../shared/figures.ts';
import { StreamError } from '../stream/bytes.ts';
import { encodeReverse, SHARED_ID_KNOWN, SharedIdReader } from '../stream/return-path.ts';
import type { StreamCommand } from '../stream/stream-elements.ts';
import { readError } from '../stream/target-checks.ts';
import { TargetStream } from '../stream/target-stream.ts';
import type { IncomingPlan } from '../transfer-engine.ts';

/** Interval at which the deadlines of the stream are checked. */
const WATCH_MS = 250;
/**
 * Two waits end after this time without another byte. A sender whose configuration was refused may still send the id
 * that both sides share. And a stream may lack its vmdescription while its sender waits for an answer and does not close
 * its side: then the end mark is the end of the stream.
 */
const DESCRIPTION_MS = 1000;
/** Answers to pings that the sender has not taken, in bytes; a sender that exceeds it reads no answers at all. */
const UNSENT_ANSWERS_BYTES_MAX = 64 * 1024;

const SENDER_LEFT = '; the sender closed the connection: it cancelled the migration, or it failed or ended there';

export type ReceiverOptions = {
  readonly plan: IncomingPlan;
  readonly figures: FigureBlock;
  readonly post: (message: FromWorker) => void;
  /** Called once when the whole machine has been read. */
  readonly loaded: () => void;
  /** Called once if the stream or the channel fails. */
  readonly failed: (error: TransferError) => void;
};

/**
 * Reads the stream of one sender: bytes from the channel into the stream's reader, commands and answers on the return
 * path, figures, and the deadlines of the stream. Guest RAM is written; everything else is kept in `loaded`.
 */
export class MachineReceiver {
  readonly #options: ReceiverOptions;
  readonly #stream: TargetStream;
  readonly #sharedId = new SharedIdReader();
  #channel: IncomingChannel | null = null;
  #watch: NodeJS.Timeout | null = null;
  #hasReturnPath = false;
  /** True once the machine was read, or reading has failed or was ended: later input changes nothing. */
  #isOver = false;
  #progress = { value: -1, atMs: 0 };
  #window = new RateWindow(0);
  #advance = { value: -1, atMs: 0 };

  constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#stream = new TargetStream(options.plan, (command) => this.#obey(command), new InputBuffer());
  }

  /** The machine, once it was read completely. */
  get machine(): LoadedMachine | null {
    return this.#stream.loaded;
  }

  /** The memory that RAM is read into; null until the sizes of the RAM blocks are known. */
  get memory(): GuestMemory | null {
    return this.#stream.memory;
  }

  /** True once the sender has opened the return path: it then waits for an answer to the whole migration. */
  get hasReturnPath(): boolean {
    return this.#hasReturnPath;
  }

  /** Begins to read the stream of an accepted sender. */
  begin(channel: IncomingChannel): void {
    this.#channel = channel;
    const atMs = performance.now();
    this.#progress = { value: -1, atMs };
    this.#advance = { value: -1, atMs };
    this.#window = new RateWindow(atMs);
    this.#watch = setInterval(() => this.#watchProgress(), WATCH_MS);
    channel.onEnd((error) => this.#channelEnded(error));
    channel.read(
      () => this.#stream.input.room(),
      (count) => this.#received(count),
    );
  }

  /** Ends reading and the deadlines. The channel stays open. */
  end(): void {
    this.#isOver = true;
    if (this.#watch !== null) clearInterval(this.#watch);
  }

  #received(count: number): void {
    const { figures } = this.#options;
    figures.add('transferredBytes', count);
    if (this.#isOver) return;
    this.#window.sent(count, 0);
    this.#stream.input.received(count);
    this.#attempt(() => this.#stream.advance());
  }

  #channelEnded(error: TransferError | null): void {
    if (this.#isOver) return;
    const why = transportOf(this.#options.plan.channels.main).hasSender ? SENDER_LEFT : '';
    if (error !== null) this.#fail({ code: error.code, message: `${error.message} (${this.#where()})${why}` });
    else this.#attempt(() => this.#stream.end(), why);
  }

  /** Reads on. Any exception of the reader fails the migration; `why` is added to its message. */
  #attempt(work: () => void, why = ''): void {
    try {
      work();
    } catch (error) {
      const { code, message } = readError(error);
      this.#fail({ code, message: `${message}${why}` });
      return;
    }
    const { figures } = this.#options;
    const { normal, zero } = this.#stream.pages;
    figures.set('normalPages', normal);
    figures.set('duplicatePages', zero);
    figures.set('totalBytes', this.#stream.ramBytes);
    if (this.#stream.loaded === null) return;
    this.end();
    this.#options.loaded();
  }

  #fail(error: TransferError): void {
    this.end();
    this.#options.failed(error);
  }

  #obey(command: StreamCommand): void {
    if (command.name === 'open-return-path') {
      this.#hasReturnPath = true;
      if (this.#options.plan.capabilities.includes('switchover-ack'))
        this.#channel?.write(encodeReverse({ type: 'switchover-ack' }));
    } else if (command.name === 'ping' && this.#hasReturnPath) {
      this.#pong(command.value);
      const id = this.#sharedId.take(command.value);
      if (id === null) return;
      this.#pong(SHARED_ID_KNOWN);
      this.#options.post({ type: 'shared', id });
      this.#stream.throwIfRefused();
    }
  }

  /** @throws StreamError if the sender takes no answers. */
  #pong(value: number): void {
    if ((this.#channel?.unsentBytes ?? 0) > UNSENT_ANSWERS_BYTES_MAX) {
      throw new StreamError('element_unexpected', 'the sender sends pings and takes none of the answers');
    }
    this.#channel?.write(encodeReverse({ type: 'pong', value }));
  }

  #watchProgress(): void {
    this.#measureRate(performance.now());
    // Input that came while this process was stopped is read before its sender counts as late.
    if (this.#lateness() !== null) void pendingInputRead().then(() => this.#judgeLateness());
  }

  #judgeLateness(): void {
    const message = this.#lateness();
    if (message === null || this.#isOver) return;
    const silentMs = performance.now() - this.#progress.atMs;
    if (this.#stream.refusal !== null || (silentMs >= DESCRIPTION_MS && this.#mayBeComplete())) {
      this.#attempt(() => this.#stream.end());
    } else {
      this.#fail({ code: 'deadline_exceeded', message: `${message} (${this.#where()})` });
    }
  }

  /**
   * @returns the deadline that the sender has exceeded, as a clause, or null. There are two: for a whole element, because
   * one byte a second is no progress; and for new content, because a sender may repeat pings, parts or pages.
   */
  #lateness(): string | null {
    const now = performance.now();
    const { stallMs, advanceMs } = this.#options.plan.deadlines;
    const value = this.#stream.progress;
    if (value !== this.#progress.value) {
      this.#progress = { value, atMs: now };
      this.#options.figures.touch();
    }
    const advance = this.#stream.ram.milestone;
    if (advance !== this.#advance.value) this.#advance = { value: advance, atMs: now };
    const silentMs = now - this.#progress.atMs;
    const aheadMs = now - this.#advance.atMs;
    const limitMs = this.#mayBeComplete() ? Math.min(DESCRIPTION_MS, stallMs) : stallMs;
    if (silentMs >= limitMs) return `nothing whole came for ${Math.round(silentMs)} ms`;
    return aheadMs >= advanceMs ? `nothing new came for ${Math.round(aheadMs)} ms` : null;
  }

  #mayBeComplete(): boolean {
    return this.#stream.refusal !== null || (this.#hasReturnPath && this.#stream.mayEndHere);
  }

  /** Bytes/s since the last check; 0 while nothing arrives. */
  #measureRate(nowMs: number): void {
    const window = this.#window.close(nowMs);
    if (window === null) return;
    this.#options.figures.set('bandwidth', (window.mbps * 1e6) / 8);
    this.#options.figures.touch();
  }

  #where(): string {
    return `at byte ${this.#stream.input.takenBytes} of the stream, in its part '${this.#stream.phase}'`;
  }
}
