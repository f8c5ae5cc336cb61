import { DomainError, type Violation } from '../errors.ts';
import type { DirtyPort, DirtyRateFigures, DirtyRatePlan } from '../ports/hypervisor.ts';
import type { Clock, Schedule } from '../ports/process.ts';
import type { DirtyLimits } from './dirty-limits.ts';
import type { CalcDirtyRateArguments, DirtyRateInfo, DirtyRateStatus, DirtyUseCases, TimeUnit } from './dirty-types.ts';

const CALC_TIME_MS_MIN = 50;
const CALC_TIME_MS_MAX = 60_000;
const SAMPLE_PAGES_MIN = 128;
const SAMPLE_PAGES_MAX = 16_384;
const SAMPLE_PAGES_DEFAULT = 512;
const MIB = 2 ** 20;

/** The newest measurement, running or ended. As in QEMU, a measurement that could not start is not kept. */
type Measurement = {
  readonly plan: DirtyRatePlan;
  readonly startMs: number;
  figures: DirtyRateFigures | null;
};

export type DirtyRateOptions = {
  readonly port: DirtyPort;
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly report: (error: unknown) => void;
};

/** calc-dirty-rate and query-dirty-rate: one measurement at a time. Its result is kept until the next one starts. */
export class DirtyRate {
  readonly #options: DirtyRateOptions;
  readonly #closing = new AbortController();
  #newest: Measurement | null = null;
  #running: Promise<void> | null = null;

  constructor(options: DirtyRateOptions) {
    this.#options = options;
  }

  get #status(): DirtyRateStatus {
    if (this.#running !== null) return 'measuring';
    return this.#newest === null ? 'unstarted' : 'measured';
  }

  /** @throws DomainError if the plan cannot be measured, or a measurement is running. */
  calc(arguments_: CalcDirtyRateArguments): void {
    if (this.#running !== null) {
      throw new DomainError('dirty_rate_measuring', 'The dirty rate is being measured; wait until it is measured.');
    }
    const plan = planOf(arguments_);
    refuseMode(plan, this.#options.port);
    const measurement: Measurement = { plan, startMs: this.#options.clock.now(), figures: null };
    this.#running = this.#measure(measurement);
  }

  query(unit: TimeUnit = 'second'): DirtyRateInfo {
    const status = this.#status;
    const mode = this.#newest?.plan.mode ?? 'page-sampling';
    // As in QEMU, unused members show their defaults until the measurement has ended.
    const isShown = status === 'measuring' || mode === 'page-sampling';
    const figures = this.#newest?.figures ?? null;
    const calcTimeMs = figures?.elapsedMs ?? this.#newest?.plan.calcTimeMs ?? 0;
    return {
      status,
      'start-time': Math.floor((this.#newest?.startMs ?? 0) / 1000),
      'calc-time': Math.floor(unit === 'second' ? calcTimeMs / 1000 : calcTimeMs),
      'calc-time-unit': unit,
      'sample-pages': isShown ? (this.#newest?.plan.samplePages ?? 0) : 0,
      mode,
      ...(figures !== null && { 'dirty-rate': mibPerSecond(figures.bytes, figures.elapsedMs) }),
      ...(figures !== null && mode === 'dirty-ring' && { 'vcpu-dirty-rate': ratesByVcpu(figures) }),
    };
  }

  /** Resolves when no measurement is running, or after `timeoutMs`, or when `signal` aborts. */
  measured(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const running = this.#running;
    if (running === null || signal?.aborted === true) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        callOff();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const callOff = this.#options.schedule(done, timeoutMs);
      signal?.addEventListener('abort', done);
      void running.then(done);
    });
  }

  /** Aborts a running measurement. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #measure(measurement: Measurement): Promise<void> {
    const before = this.#newest;
    this.#newest = measurement;
    try {
      measurement.figures = await this.#options.port.measure(measurement.plan, this.#closing.signal);
    } catch (error) {
      this.#newest = before;
      if (!this.#closing.signal.aborted) this.#options.report(error);
    } finally {
      this.#running = null;
    }
  }
}

/** @throws DomainError with every member that is out of range; members of a wrong type are not checked. */
export function checkPlan(members: Readonly<Record<string, unknown>>): void {
  const { mode = 'page-sampling', 'sample-pages': samplePages } = members;
  const violations = [calcTimeViolation(members), mode === 'page-sampling' ? samplePagesViolation(samplePages) : null]
    .filter((violation) => violation !== null)
    .map(({ pointer, reason }): Violation => ({ pointer, reason }));
  const [first] = violations;
  if (first === undefined) return;
  throw new DomainError('value_out_of_range', `${first.pointer.slice(1)} ${first.reason}.`, { violations });
}

function planOf(arguments_: CalcDirtyRateArguments): DirtyRatePlan {
  const { mode = 'page-sampling', 'sample-pages': samplePages, 'calc-time-unit': unit = 'second' } = arguments_;
  if (samplePages !== undefined && mode !== 'page-sampling') {
    const reason = `goes with mode page-sampling only, not with ${mode}`;
    const violations = [{ pointer: '/sample-pages', reason }];
    throw new DomainError('incompatible_parameters', `sample-pages ${reason}.`, { violations });
  }
  checkPlan(arguments_);
  const calcTime = Number(arguments_['calc-time']);
  return {
    mode,
    calcTimeMs: unit === 'second' ? calcTime * 1000 : calcTime,
    samplePages: Number(samplePages ?? SAMPLE_PAGES_DEFAULT),
  };
}

/** A machine has either a dirty bitmap or a dirty ring. */
function refuseMode({ mode }: DirtyRatePlan, { ringEntries }: DirtyPort): void {
  if (mode === 'dirty-ring' && ringEntries === null) {
    const message = 'Mode dirty-ring needs a machine with a dirty ring (--dirty-ring-size); use another mode.';
    throw new DomainError('dirty_ring_needed', message);
  }
  if (mode === 'dirty-bitmap' && ringEntries !== null) {
    const message = 'This machine has a dirty ring, and no dirty bitmap beside it; use mode dirty-ring.';
    throw new DomainError('dirty_ring_in_use', message);
  }
}

function calcTimeViolation(members: Readonly<Record<string, unknown>>): Violation | null {
  const { 'calc-time': calcTime, 'calc-time-unit': unit = 'second' } = members;
  if (typeof calcTime !== 'number' && typeof calcTime !== 'bigint') return null;
  const milliseconds = Number(calcTime) * (unit === 'second' ? 1000 : 1);
  if (milliseconds >= CALC_TIME_MS_MIN && milliseconds <= CALC_TIME_MS_MAX) return null;
  const allowed =
    unit === 'second'
      ? `1 to ${CALC_TIME_MS_MAX / 1000} seconds`
      : `${CALC_TIME_MS_MIN} to ${CALC_TIME_MS_MAX} milliseconds`;
  return { pointer: '/calc-time', reason: `is ${calcTime}; allowed are ${allowed}` };
}

function samplePagesViolation(samplePages: unknown): Violation | null {
  if (typeof samplePages !== 'number' && typeof samplePages !== 'bigint') return null;
  if (samplePages >= SAMPLE_PAGES_MIN && samplePages <= SAMPLE_PAGES_MAX) return null;
  const reason = `is ${samplePages}; allowed are ${SAMPLE_PAGES_MIN} to ${SAMPLE_PAGES_MAX} pages for each GiB`;
  return { pointer: '/sample-pages', reason };
}

function ratesByVcpu({ bytesByVcpu, elapsedMs }: DirtyRateFigures): NonNullable<DirtyRateInfo['vcpu-dirty-rate']> {
  return bytesByVcpu.map((bytes, id) => ({ id, 'dirty-rate': mibPerSecond(bytes, elapsedMs) }));
}

/** Rounded to the nearest integer, so that 20 MB/s is not shown as 19 MiB/s. */
function mibPerSecond(bytes: number, elapsedMs: number): number {
  return elapsedMs === 0 ? 0 : Math.round((bytes / MIB) * (1000 / elapsedMs));
}

export function dirtyUseCases(dirtyRate: DirtyRate, dirtyLimits: DirtyLimits): DirtyUseCases {
  return {
    calcDirtyRate: (arguments_) => dirtyRate.calc(arguments_),
    checkCalcDirtyRate: checkPlan,
    queryDirtyRate: (unit) => dirtyRate.query(unit),
    dirtyRateMeasured: (timeoutMs, signal) => dirtyRate.measured(timeoutMs, signal),
    setVcpuDirtyLimit: (rate, cpuIndex) => dirtyLimits.set(rate, cpuIndex),
    cancelVcpuDirtyLimit: (cpuIndex) => dirtyLimits.cancel(cpuIndex),
    queryVcpuDirtyLimit: (cpuIndex) => dirtyLimits.list(cpuIndex),
  };
}
