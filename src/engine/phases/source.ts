import type { MigrationEnd, TransferError } from '../../domain/ports/migration-session.ts';
import type { OutgoingChannel } from '../channels/channel.ts';

import { ReversePath, watchForOtherProtocol } from '../channels/reverse-path.ts';
import { openOutgoing } from '../channels/transports.ts';
import { WORK_AREA } from '../memory/layout.ts';
import { HOLD } from '../memory/vcpu-control.ts';
import { Staging } from '../pages/staging.ts';
import type { FromWorker, SharedCells } from '../session/transfer-messages.ts';
import { failureOf, TransferFailure } from '../session/wait-point.ts';
import type { OutgoingPlan } from '../transfer-engine.ts';
import { Precopy } from './precopy.ts';
import { createSourceContext, type SourceContext } from './source-context.ts';
import { Switchover } from './switchover.ts';

/*
 * The steps of an outgoing migration. Each returns the next one; null is the end.
 *
 *   connect ──→ setup ──→ precopy ──→ stop ──→ device ──→ handover ──→ completed
 *
 * | step     | status at its end | work |
 * |----------|-------------------|--------------|
 * | connect  | setup             | opens the channel |
 * | setup    | active            | sends everything before the pages, and marks all pages (precopy.ts) |
 * | precopy  | active            | sends pages, pass after pass, until the guest may be stopped (precopy.ts) |
 * | stop     | device            | stops the guest; with pause-before-switchover it waits in pre-switchover (switchover.ts) |
 * | device   | device            | sends the last pages and the devices, and gives the disks away (switchover.ts) |
 * | handover | completed         | sends the end of the stream and waits for the answer of the target (switchover.ts) |
 *
 * Ownership. The guest belongs to this side until the step `handover` moves the status to "handed over". From then on it
 * belongs to the target; if the connection breaks before the target's answer, the owner is unknown and the guest stays
 * stopped here.
 *
 * Failure. A failure or a cancel ends any step; a cancel cannot end `handover` after it has moved the status. The
 * channel is destroyed. A guest that this side owns and that was stopped continues, once the main thread has activated
 * its disks again if they were released.
 */
type SourceStep = 'connect' | 'setup' | 'precopy' | 'stop' | 'device' | 'handover';
type NextStep = Promise<SourceStep | null>;

/** An outgoing migration from its first byte to its end. */
export class SourceMigration {
  readonly #context: SourceContext;
  #channel: OutgoingChannel | null = null;
  #switchover: Switchover | null = null;
  #reverse: ReversePath | null = null;
  /** Set by the step `connect`. */
  #sending: { readonly channel: OutgoingChannel; readonly staging: Staging; readonly precopy: Precopy } | null = null;
  readonly #steps: Readonly<Record<SourceStep, () => NextStep>> = {
    connect: () => this.#connect(),
    setup: async () => {
      await this.#connected.precopy.setup();
      return 'precopy';
    },
    precopy: async () => {
      await this.#connected.precopy.iterate();
      return 'stop';
    },
    stop: async () => {
      this.#switchover = new Switchover({ ...this.#connected, context: this.#context, reverse: this.#reverse });
      await this.#switchover.stop();
      return 'device';
    },
    device: async () => {
      await this.#stopped.sendRest();
      return 'handover';
    },
    handover: async () => {
      await this.#stopped.handOver();
      return null;
    },
  };

  constructor(plan: OutgoingPlan, cells: SharedCells, post: (message: FromWorker) => void) {
    this.#context = createSourceContext(plan, cells, post);
  }

  /** The status or a live parameter has changed. */
  wake(): void {
    this.#context.waitPoint.notify();
  }

  /** The operator continues a migration in pre-switchover. */
  continueSwitchover(): void {
    this.#switchover?.allow();
  }

  /** The main thread has released the guest's disks, or could not. */
  disksReleased(error: TransferError | null): void {
    this.#context.disks.answered(error);
  }

  /** Runs the migration; never throws. */
  async run(): Promise<MigrationEnd> {
    try {
      let step: SourceStep | null = 'connect';
      while (step !== null) step = await this.#steps[step]();
      return this.#end({ status: 'completed', error: null, guest: this.#ownerOnceCompleted() });
    } catch (error) {
      return this.#giveUp(error);
    }
  }

  get #connected() {
    if (this.#sending === null) throw new Error('the step connect comes first');
    return this.#sending;
  }

  get #stopped(): Switchover {
    if (this.#switchover === null) throw new Error('the step stop comes first');
    return this.#switchover;
  }

  async #connect(): NextStep {
    const { plan, figures, waitPoint } = this.#context;
    figures.set('expectedDowntimeMs', this.#context.live.get('downtime-limit'));
    const channel = await this.#openChannel();
    channel.onFailure((error) => waitPoint.fail(error));
    const { stallMs } = plan.deadlines;
    const { memory } = plan.source;
    const staging = new Staging({ channel, waitPoint, memory, area: WORK_AREA.transfer, stallMs });
    const hasReverse = plan.opensReturnPath && channel.hasReverse;
    const isHandedOver = () => this.#context.status.isHandedOver();
    const reverse = hasReverse ? new ReversePath(channel, waitPoint, isHandedOver) : null;
    this.#reverse = reverse;
    if (reverse === null) watchForOtherProtocol(channel, waitPoint);
    this.#sending = { channel, staging, precopy: new Precopy(this.#context, { channel, staging, reverse }) };
    return 'setup';
  }

  #ownerOnceCompleted(): MigrationEnd['guest'] {
    return this.#switchover?.isConfirmed === true ? 'there' : 'there, unconfirmed';
  }

  async #openChannel(): Promise<OutgoingChannel> {
    const { plan, waitPoint } = this.#context;
    const abort = new AbortController();
    let settled: { channel: OutgoingChannel } | { error: TransferError } | null = null;
    openOutgoing(plan.channels.main, plan.fileRoot, abort.signal).then(
      (channel) => {
        settled = { channel };
        waitPoint.notify();
      },
      (error: TransferError) => {
        settled = { error };
        waitPoint.notify();
      },
    );
    const outcome = () => settled;
    try {
      await waitPoint.until(() => outcome() !== null, plan.deadlines.connectMs, 'connecting');
    } catch (error) {
      const late = outcome();
      if (late !== null && 'channel' in late) late.channel.destroy();
      abort.abort(new Error('the migration gave up'));
      throw error;
    }
    const result = outcome();
    if (result === null || 'error' in result) {
      throw new TransferFailure(result?.error ?? { code: 'channel_failed', message: 'no channel was opened' });
    }
    this.#channel = result.channel;
    return result.channel;
  }

  /** Ends the migration after a failure or a cancel. */
  #giveUp(thrown: unknown): MigrationEnd {
    const { status } = this.#context;
    this.#channel?.destroy(status.read() === 'cancelling' ? 'cancelled' : undefined);
    const reason = this.#withAdvice(failureOf(thrown));
    const isUnknown = this.#switchover?.isOutcomeUnknown(reason.code) ?? false;
    const error = isUnknown ? unknownOutcome(reason, this.#reverse !== null) : reason;
    const guest = isUnknown ? 'unknown' : 'here';
    const now = status.read();
    if (now !== 'cancelling' && status.transition(now, 'failed')) return this.#end({ status: 'failed', error, guest });
    status.transition('cancelling', 'cancelled');
    return this.#end({ status: 'cancelled', error: null, guest: 'here' });
  }

  /** Adds advice if the peer closed without an answer: many servers of other protocols do; a target answers the first ping. */
  #withAdvice(error: TransferError): TransferError {
    const isClosed = error.code === 'peer_closed' || error.code === 'peer_reset';
    if (!isClosed || this.#reverse === null || this.#reverse.hasHeard) return error;
    const advice =
      'it had answered nothing: make sure that a migration is listened for at this address, not HTTP or TLS';
    return { code: error.code, message: `${error.message}; ${advice}` };
  }

  #end(end: MigrationEnd): MigrationEnd {
    const { control, disks, figures, post } = this.#context;
    // Without its disks the guest must not continue: the main thread activates them first.
    if (end.guest === 'here' && this.#switchover?.hasStoppedGuest && !disks.isRequested) {
      control?.removeHold(HOLD.migration);
      post({ type: 'guest-resumed' });
    }
    figures.end();
    post({ type: 'status', status: end.status });
    return end;
  }
}

function unknownOutcome(error: TransferError, hasReverse: boolean): TransferError {
  const recommended = hasReverse
    ? ''
    : '. With the capability return-path on, over a socket, the target would have said so';
  const message =
    `${error.message}; the handover had begun, so the target may be running the guest. ` +
    'The guest stays stopped here: look at the target, and let it go on here only if it does not run there, ' +
    `since a guest that runs twice destroys its disks${recommended}`;
  return { code: 'handover_outcome_unknown', message };
}
