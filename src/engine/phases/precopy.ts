import type { OutgoingChannel } from '../channels/channel.ts';
import type { ReversePath } from '../channels/reverse-path.ts';
import { DeliveryWatch } from '../convergence/delivery-watch.ts';
import { TokenBucket, WINDOW_MS } from '../convergence/pacing.ts';
import { SendMeter } from '../convergence/send-meter.ts';
import { StopRule } from '../convergence/stop-rule.ts';
import { type Throttle, throttleFor } from '../convergence/throttle-policy.ts';
import { HOLD } from '../memory/vcpu-control.ts';
import { pageFormatFor } from '../pages/page-formats.ts';
import type { PageQueue } from '../pages/page-queue.ts';
import { RamSender } from '../pages/ram-sender.ts';
import type { Staging } from '../pages/staging.ts';
import { TransferFailure } from '../session/wait-point.ts';
import { MachineEncoder, type StreamPart } from '../stream/machine-stream.ts';
import { sharedIdPings } from '../stream/return-path.ts';
import { encodeCommand } from '../stream/stream-elements.ts';
import type { SourceContext } from './source-context.ts';

/** Longest time for which one section stays open: between sections the source checks rate, syncs and stop rule. */
const SECTION_MS = 50;
/** Shortest duration of a pass: a guest that dirties few pages all the time must not cause a busy loop. */
const PASS_MS_MIN = 10;
/**
 * Interval of empty sections while nothing else is sent, which show the target that the source is alive. It is shorter
 * if the source's deadline is short, because the target's is probably short, too.
 */
const KEEP_ALIVE_MS_MAX = 2000;
const KEEP_ALIVES_PER_STALL = 4;
/** Limits of the wait, before a stop of the guest, for the arrival of everything sent: the downtime limit within these. */
const SETTLE_MS = { min: 100, max: 1000 };
const UNLIMITED = Number.POSITIVE_INFINITY;

/** Sends RAM while the guest runs: set-up, passes, and the decision when the guest is stopped. */
export class Precopy {
  readonly #context: SourceContext;
  readonly #staging: Staging;
  readonly #reverse: ReversePath | null;
  readonly #ram: RamSender;
  readonly #queue: PageQueue;
  readonly #bucket = new TokenBucket(performance.now());
  readonly #stopRule: StopRule;
  readonly #throttle: Throttle | null;
  /** Time of the last sync of the dirty log. */
  #syncedMs = performance.now();
  readonly #watch: DeliveryWatch;
  readonly meter: SendMeter;
  readonly #encoder: MachineEncoder;

  constructor(
    context: SourceContext,
    { channel, staging, reverse }: { channel: OutgoingChannel; staging: Staging; reverse: ReversePath | null },
  ) {
    this.#context = context;
    this.#staging = staging;
    this.#reverse = reverse;
    this.#stopRule = new StopRule(context.live);
    const { control, figures, has, live, post } = context;
    const limitVcpus = (): void => post({ type: 'limit-vcpus' });
    this.#throttle = control === null ? null : throttleFor(has, { live, control, figures, limitVcpus });
    this.#watch = new DeliveryWatch({
      channel,
      staging,
      reverse,
      waitPoint: context.waitPoint,
      stallMs: context.plan.deadlines.stallMs,
    });
    this.meter = new SendMeter(context.figures, this.#watch.delivery);
    // As in QEMU, all bytes of a guest that does not run count as sent during its downtime.
    this.meter.isDowntime = (context.control?.holds() ?? HOLD.operator) !== 0;
    const { source, uuid, capabilities, detectsZeroPages } = context.plan;
    const { memory } = source;
    this.#encoder = new MachineEncoder({ source, uuid: context.has('validate-uuid') ? uuid : null });
    const format = pageFormatFor(capabilities);
    this.#ram = new RamSender({ memory, staging, format, detectZero: detectsZeroPages });
    this.#queue = this.#ram.queue;
  }

  /** Header, configuration, return path, RAM block list; all pages are marked as to be sent. */
  async setup(): Promise<void> {
    const { plan, figures, post } = this.#context;
    await this.#staging.open(0, 1);
    await this.putThrough('configuration');
    if (this.#reverse !== null) {
      await this.#staging.put(encodeCommand({ name: 'open-return-path' }));
      await this.#watch.first();
      this.#reverse.onSharedIdKnown = () => post({ type: 'shared', id: plan.sharedId });
      await this.#watch.sendPings(sharedIdPings(plan.sharedId));
    }
    await this.putThrough('ram-start');
    this.#staging.send();
    this.#queue.markAll();
    figures.set('totalBytes', this.#queue.remainingBytes);
    figures.set('setupEndedUs', this.meter.beginPass(this.#queue.remainingBytes));
    this.countFraming();
    post({ type: 'pass', pass: this.meter.pass });
    this.#context.move('setup', 'active');
  }

  /** Sends pass after pass until the remaining pages can be sent within the downtime limit. */
  async iterate(): Promise<void> {
    // While the link takes no bytes a pass waits; the delivery is measured also then.
    const measuring = setInterval(() => this.#measure(), WINDOW_MS);
    try {
      await this.#passes();
    } finally {
      clearInterval(measuring);
    }
  }

  async #passes(): Promise<void> {
    let begun = performance.now();
    for (;;) {
      await this.#section('part');
      await this.#watch.mark();
      await turn();
      if (this.#fits() || this.#queue.isPassEnded) {
        const workedMs = performance.now() - begun;
        // Before the sync, which then finds the pages that the guest writes during this wait.
        if (this.#fits()) await this.#watch.settled(this.#settleMs());
        this.endPass();
        if (this.#mayStop()) {
          if (this.#isAcknowledged()) return;
          await this.#waitForAcknowledgement();
        }
        if (workedMs < PASS_MS_MIN) await this.#idle(PASS_MS_MIN - workedMs);
        begun = performance.now();
      } else if (this.#isSyncDue()) {
        this.#sync();
      }
      await this.#waitForRate();
    }
  }

  /** Sends the remaining pages with the guest stopped and without a rate limit, as the ram section's END. */
  async finish(): Promise<void> {
    this.meter.isDowntime = true;
    this.endPass();
    await this.#section('end');
    this.#context.post({ type: 'pass-ended', figures: this.meter.endPass(0) });
  }

  /** Sets the run state that the stream contains. The guest is stopped. */
  setRunState(runState: string): void {
    this.#encoder.runState = runState;
  }

  /** Syncs the dirty log, ends this pass and begins the next. */
  endPass(): void {
    this.#sync();
    this.#queue.rewind();
  }

  /** Syncs the dirty log. The walk over RAM continues at its position, so that a long pass ends. */
  #sync(): void {
    const foundBytes = this.#context.figures.get('dirtyBytesAtSync');
    const newPages = this.#queue.sync();
    this.#stopRule.passEnded(foundBytes, this.#queue.remainingBytes);
    this.#context.post({ type: 'pass-ended', figures: this.meter.endPass(this.#queue.remainingBytes) });
    const period = this.meter.synced(newPages);
    if (period !== null) this.#throttle?.periodEnded(period);
    this.#syncedMs = performance.now();
    this.meter.beginPass(this.#queue.remainingBytes);
    this.#context.post({ type: 'pass', pass: this.meter.pass });
  }

  /** A throttled guest is measured also while a pass is long. */
  #isSyncDue(): boolean {
    return this.#throttle !== null && performance.now() - this.#syncedMs >= this.#throttle.syncMsMax;
  }

  /** Waits for `condition` without a deadline, and sends empty sections meanwhile. */
  async waitAlive(condition: () => boolean): Promise<void> {
    const { waitPoint, plan } = this.#context;
    const everyMs = Math.min(KEEP_ALIVE_MS_MAX, plan.deadlines.stallMs / KEEP_ALIVES_PER_STALL);
    while (!(await waitPoint.within(everyMs, condition))) await this.#keepAlive();
  }

  /** Puts the elements up to and with `last` that are not commands of the return path or records of pages. */
  async putThrough(last: StreamPart): Promise<void> {
    for (const element of this.#encoder.through(last)) await this.#staging.put(element);
  }

  async #section(type: 'part' | 'end'): Promise<void> {
    const { heartbeat, live, waitPoint } = this.#context;
    this.#watch.sending();
    const until = type === 'end' ? UNLIMITED : performance.now() + SECTION_MS;
    await this.#staging.put(this.#encoder.openRam(type));
    while (!this.#queue.isPassEnded) {
      waitPoint.check();
      // While bytes are sent all the time, the timer of the heartbeat may not run.
      heartbeat.beat();
      const now = performance.now();
      const allowed = type === 'end' ? UNLIMITED : this.#bucket.refill(live.limit('max-bandwidth'), now);
      if (now >= until || allowed <= 0) break;
      const sent = await this.#ram.send(allowed);
      this.#bucket.take(sent.bytes);
      this.meter.sent(this.#staging.sentBytes, this.#queue.remainingBytes, sent);
      this.meter.closeWindow(live.get('avail-switchover-bandwidth'));
    }
    await this.#staging.put(this.#encoder.closeRam());
    if (type === 'part') this.#staging.send();
    this.countFraming();
  }

  async #keepAlive(): Promise<void> {
    await this.#staging.put(this.#encoder.openRam('part'));
    await this.#staging.put(this.#encoder.closeRam());
    this.#staging.send();
    this.countFraming();
  }

  async #waitForRate(): Promise<void> {
    const { live, waitPoint } = this.#context;
    this.#bucket.refill(live.limit('max-bandwidth'), performance.now());
    const delay = this.#bucket.delayMs(live.limit('max-bandwidth'));
    // A changed limit takes effect at once, so a long wait is divided.
    if (delay > 0) await waitPoint.sleep(Math.min(delay, SECTION_MS));
    this.meter.closeWindow(live.get('avail-switchover-bandwidth'));
  }

  async #idle(milliseconds: number): Promise<void> {
    const started = performance.now();
    await this.#context.waitPoint.sleep(milliseconds);
    this.meter.idle(performance.now() - started);
  }

  /** Counts the bytes of the stream that are not records of pages. */
  countFraming(): void {
    const before = this.#context.figures.get('transferredBytes');
    this.#bucket.take(this.#staging.sentBytes - before);
    this.meter.sent(this.#staging.sentBytes, this.#queue.remainingBytes);
  }

  /** True if the remaining pages can be sent within the downtime limit. */
  #fits(): boolean {
    return this.#stopRule.allows(this.#queue.remainingBytes, this.meter.bandwidth());
  }

  /** The same with the bytes that were sent and have not arrived: they arrive before the remaining pages. */
  #mayStop(): boolean {
    const pending = this.#queue.remainingBytes + this.#watch.outstandingBytes;
    return this.#fits() && this.#stopRule.allows(pending, this.meter.bandwidth());
  }

  #settleMs(): number {
    return Math.min(SETTLE_MS.max, Math.max(SETTLE_MS.min, this.#context.live.get('downtime-limit')));
  }

  #measure(): void {
    this.#watch.poll();
    this.meter.closeWindow(this.#context.live.get('avail-switchover-bandwidth'));
  }

  /** With switchover-ack the target must have agreed, unless the guest is stopped already. */
  #isAcknowledged(): boolean {
    if (!this.#context.has('switchover-ack') || this.#reverse === null) return true;
    const isStandingStill = (this.#context.control?.holds() ?? 1) !== 0;
    return this.#reverse.hasSwitchoverAck || isStandingStill;
  }

  async #waitForAcknowledgement(): Promise<void> {
    const { stallMs } = this.#context.plan.deadlines;
    const end = performance.now() + stallMs;
    await this.waitAlive(() => this.#isAcknowledged() || performance.now() >= end);
    if (await this.#context.waitPoint.within(0, () => this.#isAcknowledged())) return;
    const message = `the target sent no switchover-ack for ${stallMs} ms`;
    throw new TransferFailure({ code: 'deadline_exceeded', message });
  }
}

/** Lets the event loop read pending input. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
