import type { TransferError } from '../../domain/ports/migration-session.ts';
import type { OutgoingChannel } from '../channels/channel.ts';
import type { ReversePath } from '../channels/reverse-path.ts';
import { transportOf } from '../channels/transports.ts';
import { HOLD } from '../memory/vcpu-control.ts';
import type { Staging } from '../pages/staging.ts';
import { CancelledSignal, TransferFailure } from '../session/wait-point.ts';
import { sharedMicroseconds } from '../shared/figures.ts';
import type { Precopy } from './precopy.ts';
import type { SourceContext } from './source-context.ts';

/** vCPUs stop within a slice of about a millisecond; a thread that takes longer is dead. */
const STOP_MS_MAX = 2000;

/** The steps from the stop of the guest to the answer of the target. */
export class Switchover {
  readonly #context: SourceContext;
  readonly #channel: OutgoingChannel;
  readonly #staging: Staging;
  readonly #precopy: Precopy;
  readonly #reverse: ReversePath | null;
  #isAllowed = false;
  #isAnswered = false;
  hasStoppedGuest = false;

  constructor(options: {
    context: SourceContext;
    channel: OutgoingChannel;
    staging: Staging;
    precopy: Precopy;
    reverse: ReversePath | null;
  }) {
    this.#context = options.context;
    this.#channel = options.channel;
    this.#staging = options.staging;
    this.#precopy = options.precopy;
    this.#reverse = options.reverse;
  }

  /**
   * True if the owner of the guest is unknown after a failure with this code: it came between the handover and the
   * answer of the target.
   */
  isOutcomeUnknown(code: TransferError['code']): boolean {
    return this.#context.status.isHandedOver() && !this.#isAnswered && !this.#isRefusal(code);
  }

  /**
   * True if a completion is confirmed: the target has answered that it has the guest, or the stream was written to a
   * file, which needs no answer. Otherwise the peer has only received the end of the stream.
   */
  get isConfirmed(): boolean {
    return this.#reverse !== null || transportOf(this.#context.plan.channels.main).needsNoAnswer;
  }

  allow(): void {
    this.#isAllowed = true;
    this.#context.waitPoint.notify();
  }

  /** Stops the guest, and waits for the operator with pause-before-switchover. */
  async stop(): Promise<void> {
    this.#precopy.setRunState(this.#stopGuest());
    const { has, move } = this.#context;
    if (!has('pause-before-switchover')) return move('active', 'device');
    move('active', 'pre-switchover');
    await this.#precopy.waitAlive(() => this.#isAllowed);
    move('pre-switchover', 'device');
  }

  /** Sends the rest of the machine, and waits until the main thread has released the disks. */
  async sendRest(): Promise<void> {
    this.#context.disks.request();
    await this.#precopy.putThrough('switchover-start');
    await this.#precopy.finish();
    await this.#precopy.putThrough('devices');
    this.#precopy.countFraming();
    await this.#staging.drain();
    await this.#precopy.waitAlive(() => this.#context.disks.isReleased);
  }

  /** Hands the guest over to the target, and ends the figures. */
  async handOver(): Promise<void> {
    const { figures } = this.#context;
    await this.#sendEnd();
    this.#precopy.countFraming();
    const now = sharedMicroseconds();
    figures.set('downtimeUs', now - figures.get('stoppedUs'));
    this.#precopy.meter.complete((now - figures.get('setupEndedUs')) / 1000);
    figures.set('endedUs', now);
    if (!this.#context.status.transition('device', 'completed')) throw new Error('a handed over migration was moved');
  }

  /** @returns the run state of the guest before the stop, which the target restores. */
  #stopGuest(): string {
    const { control, figures, post } = this.#context;
    const holds = control?.holds() ?? 0;
    this.hasStoppedGuest = true;
    control?.addHold(HOLD.migration);
    if (control !== null && !control.waitStopped(STOP_MS_MAX)) {
      throw new TransferFailure({
        code: 'guest_does_not_stop',
        message: `a vCPU did not stop within ${STOP_MS_MAX} ms`,
      });
    }
    figures.set('stoppedUs', sharedMicroseconds());
    post({ type: 'guest-stopped' });
    if ((holds & HOLD.panic) !== 0) return 'guest-panicked';
    return (holds & ~HOLD.migration) === 0 ? 'running' : 'paused';
  }

  /** The target may run the guest once it has the end mark, so the mark is sent only when no cancel is possible any more. */
  async #sendEnd(): Promise<void> {
    const { waitPoint, plan, status } = this.#context;
    waitPoint.check();
    if (!status.handOver()) throw new CancelledSignal();
    await this.#precopy.putThrough('description');
    // From here on the target may answer or close at any moment, also before this side's last write is confirmed.
    this.#staging.send();
    if (this.#reverse !== null) {
      const reverse = this.#reverse;
      await waitPoint.until(() => reverse.shut !== null, plan.deadlines.handoverMs, "waiting for the target's answer");
      if (reverse.shut !== 0) {
        const message = `the target reported error ${reverse.shut} and did not take the guest`;
        throw new TransferFailure({ code: 'target_refused', message });
      }
      this.#isAnswered = true;
      void this.#channel.finish().catch(() => {});
      return;
    }
    await this.#finishWithoutReturnPath();
  }

  async #finishWithoutReturnPath(): Promise<void> {
    const { waitPoint, plan } = this.#context;
    let finished = false;
    this.#channel.finish().then(
      () => {
        finished = true;
        waitPoint.notify();
      },
      (error) => waitPoint.fail(error),
    );
    await waitPoint.until(
      () => finished,
      plan.deadlines.handoverMs,
      'waiting for the target to take the end of the stream',
    );
    this.#isAnswered = true;
  }

  /** A failed write to a file, a failed command, and a target that refused have not taken the guest. */
  #isRefusal(code: TransferError['code']): boolean {
    return code === 'target_refused' || transportOf(this.#context.plan.channels.main).isRefusal(code);
  }
}
