import { setTimeout as delay } from 'node:timers/promises';
import { Service } from '../../bench/service/vmferry.ts';
import type { Facts, Guest } from './conclusion.ts';
import { mebibytes, megabytes, PROGRESS_HEADING, type Progress, progressLine } from './progress.ts';
import type { Screen } from './screen.ts';

export type DemoSettings = {
  readonly ramBytes: number;
  /** The flag `--workload` of the source. */
  readonly workload: string;
  /** A `max-bandwidth` below the dirty rate of the guest, in bytes/s. */
  readonly slowBytesPerSecond: number;
  /** A `max-bandwidth` with which the migration completes, in bytes/s. */
  readonly fastBytesPerSecond: number;
  /** Milliseconds for which a migration that does not converge is shown before the bandwidth is raised. */
  readonly lookMs: number;
};

export const DEMO_SETTINGS: DemoSettings = {
  ramBytes: 512 * 2 ** 20,
  workload: 'rate=100M,span=128M',
  slowBytesPerSecond: 60_000_000,
  fastBytesPerSecond: 1_000_000_000,
  lookMs: 4000,
};

export type Stage = {
  /** Directory for the data of both services. The caller removes it. */
  readonly directory: string;
  readonly screen: Screen;
  readonly settings: DemoSettings;
  /** Stops the demo. Then its promise rejects, and both services have ended. */
  readonly signal: AbortSignal;
};

/** The members of `GET /migrate` that the demo uses. Times in milliseconds. */
type MigrationNow = {
  readonly status?: string;
  readonly 'total-time'?: number;
  readonly downtime?: number;
  readonly 'error-desc'?: string;
};

const REFRESH_MS = 100;
const PAGE_BYTES = 4096;
/** Time after which the migration must have ended; otherwise the demo fails. */
const MIGRATION_MS_MAX = 120_000;
/** Time after which the guest must have read all of its RAM once. It normally takes some seconds. */
const SWEEP_MS_MAX = 30_000;
const ENDS = ['completed', 'failed', 'cancelled'];

/** Starts two services, migrates the guest from one to the other, and returns the result. */
export async function migrateBusyGuest(stage: Stage): Promise<Facts> {
  const { directory, screen, settings, signal } = stage;
  const { ramBytes, workload, slowBytesPerSecond } = settings;
  const ram = ['--ram', String(ramBytes)];
  const slow = ['--set', `max-bandwidth=${slowBytesPerSecond}`];
  await using source = await Service.start(directory, [...ram, '--workload', workload, ...slow]);
  signal.throwIfAborted();
  await using target = await Service.start(directory, [...ram, '--incoming', 'tcp:127.0.0.1:0']);
  signal.throwIfAborted();
  screen.line(`source  ${source.url}  a guest with ${mebibytes(ramBytes)} of RAM, ${workload}`);
  screen.line(`target  ${target.url}  waits for the guest`);
  const uri = `tcp:127.0.0.1:${await target.incomingPort()}`;
  screen.line(`POST /migrate {"uri":"${uri}"}, with max-bandwidth ${megabytes(slowBytesPerSecond)}/s`);
  for (const line of ['', PROGRESS_HEADING]) screen.line(line);
  await source.call('/migrate', { body: { uri } });
  const progress = await watch(source, stage);
  const before = (await source.call('/machine')) as Guest;
  if (progress.status === 'completed') {
    screen.line('The guest is at the target. It now reads all of its memory once and checks every page.');
    await sweep(target, before, stage);
  }
  return await factsOf({ source, target, progress, before, settings });
}

/** Shows the progress of the migration, and raises the bandwidth after it has not converged for some time. */
async function watch(source: Service, { screen, settings, signal }: Stage): Promise<Progress> {
  const end = performance.now() + MIGRATION_MS_MAX;
  const explained = new Set<string>();
  let stuckSince: number | null = null;
  let isRaised = false;
  while (performance.now() < end) {
    signal.throwIfAborted();
    const progress = (await source.call('/migrate/progress')) as Progress;
    const { 'total-time': elapsedMs = 0 } = (await source.call('/migrate')) as MigrationNow;
    screen.status(progressLine(progress, elapsedMs));
    if (ENDS.includes(progress.status)) {
      screen.keepStatus();
      return progress;
    }
    const { verdict = '', reason = '' } = progress.verdict ?? {};
    const isStuck = verdict === 'stalled' || verdict === 'hopeless';
    if (isStuck && !explained.has(verdict)) {
      explained.add(verdict);
      screen.keepStatus();
      screen.line(`${verdict}: ${reason}`);
    }
    stuckSince = isStuck ? (stuckSince ?? performance.now()) : null;
    if (!isRaised && stuckSince !== null && performance.now() - stuckSince >= settings.lookMs) {
      isRaised = true;
      await raise(source, { screen, settings });
    }
    await delay(REFRESH_MS, undefined, { signal });
  }
  throw new Error(`the migration did not end within ${MIGRATION_MS_MAX / 1000} s`);
}

async function raise(source: Service, { screen, settings }: Pick<Stage, 'screen' | 'settings'>): Promise<void> {
  const body = { 'max-bandwidth': settings.fastBytesPerSecond };
  await source.call('/migrate/parameters', { method: 'PATCH', body });
  screen.keepStatus();
  screen.line(`Raising the bandwidth: PATCH /migrate/parameters ${JSON.stringify(body)}`);
}

/** Waits until the guest has checked all of its pages once, or has panicked. */
async function sweep(target: Service, before: Guest, { screen, settings, signal }: Stage): Promise<void> {
  const pages = settings.ramBytes / PAGE_BYTES;
  const end = performance.now() + SWEEP_MS_MAX;
  while (performance.now() < end) {
    signal.throwIfAborted();
    const guest = (await target.call('/machine')) as Guest;
    const checked = guest['pages-checked'] - before['pages-checked'];
    if (guest.panic !== null || (checked >= pages && guest.ticks > before.ticks)) return;
    screen.status(`tick ${guest.ticks}  ${checked} of ${pages} pages checked`);
    await delay(REFRESH_MS, undefined, { signal });
  }
}

type Seen = {
  readonly source: Service;
  readonly target: Service;
  readonly progress: Progress;
  readonly before: Guest;
  readonly settings: DemoSettings;
};

async function factsOf({ source, target, progress, before, settings }: Seen): Promise<Facts> {
  const info = (await source.call('/migrate')) as MigrationNow;
  return {
    status: progress.status,
    error: info['error-desc'] ?? null,
    totalMs: info['total-time'] ?? 0,
    downtimeMs: info.downtime ?? 0,
    downtimeLimitMs: progress['downtime-limit'],
    passes: progress.pass,
    ramPages: settings.ramBytes / PAGE_BYTES,
    sourceState: await runState(source),
    targetState: await runState(target),
    before,
    after: (await target.call('/machine')) as Guest,
    consoleTicks: await consoleTicks(target),
  };
}

async function runState(service: Service): Promise<string> {
  return ((await service.call('/status')) as { readonly status: string }).status;
}

async function consoleTicks(service: Service): Promise<number[]> {
  const text = await (await fetch(`${service.url}/machine/console`)).text();
  return [...text.matchAll(/^tick (\d+)$/gm)].map((match) => Number(match[1]));
}
