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

/** vCPUs stop within a slice of about a millisecond; a thread that does not is dead. */
const STOP_MS_MAX = 2000;

/** From the guest's stop to the target's word. */
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
   * True if a failure with this code leaves open who has the guest: it came between the handover and the target's yes
   * or no.
   */
  isOutcomeUnknown(code: TransferError['code']): boolean {
    return this.#context.status.isHandedOver() && !this.#isAnswered && !this.#isRefusal(code);
  }

  /**
   * True if a completion is more than the taking of the stream's end: the target said that it has the guest, or the
   * stream was written to a file, which needs nobody's word.
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

  /** Sends what is left of the machine, and waits until the target can have its disks. */
  async sendRest(): Promise<void> {
    this.#context.disks.request();
    await this.#precopy.putThrough('switchover-start');
    await this.#precopy.finish();
    await this.#precopy.putThrough('devices');
    this.#precopy.countFraming();
    await this.#staging.drain();
    await this.#precopy.waitAlive(() => this.#context.disks.isReleased);
  }

  /** Gives the guest to the target, and ends the figures. */
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

  /** @returns the run state that the guest had, for the target to take over. */
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

  /** The end mark may make the target run the guest: it leaves only once no cancel can win any more. */
  async #sendEnd(): Promise<void> {
    const { waitPoint, plan, status } = this.#context;
    waitPoint.check();
    if (!status.handOver()) throw new CancelledSignal();
    await this.#precopy.putThrough('description');
    // From here on the target may answer or close at any moment, before this side hears that its last bytes left.
    this.#staging.send();
    if (this.#reverse !== null) {
      const reverse = this.#reverse;
      await waitPoint.until(() => reverse.shut !== null, plan.deadlines.handoverMs, "waiting for the target's word");
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

  /** A file that failed, a command that says that it failed, or a target that said no has not taken the guest. */
  #isRefusal(code: TransferError['code']): boolean {
    return code === 'target_refused' || transportOf(this.#context.plan.channels.main).isRefusal(code);
  }
}
