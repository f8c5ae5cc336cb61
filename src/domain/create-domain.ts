import { Announcer } from './announce/announcer.ts';
import { AuditTrail } from './audit.ts';
import type { Context, Surroundings } from './context.ts';
import { deviceStateUseCases } from './devices/device-state.ts';
import { DirtyLimits } from './dirty/dirty-limits.ts';
import { DirtyRate } from './dirty/dirty-rate.ts';
import { dirtyUseCases } from './dirty/use-cases.ts';
import type { Domain, MigrationUseCases } from './domain.ts';
import { drain } from './drain.ts';
import { EventHub } from './events.ts';
import { idempotency } from './idempotency.ts';
import { Jobs } from './jobs/jobs.ts';
import { recoverJobs } from './jobs/recovery.ts';
import { guestPanicked } from './machine/panic.ts';
import type { RunState } from './machine/run-state.ts';
import { RunStateHolder } from './machine/run-state-holder.ts';
import { machineUseCases } from './machine/use-cases.ts';
import { Blockers } from './migration/blockers.ts';
import { cancelMigration } from './migration/cancel.ts';
import { Changes } from './migration/changes.ts';
import { continueMigration } from './migration/continue.ts';
import { endedMigration, migrationRecord } from './migration/ended.ts';
import { FdSets } from './migration/fd-sets.ts';
import { isIncomingUnderWay, startIncoming, stopListening } from './migration/incoming.ts';
import { descriptorUseCases } from './migration/named-descriptors.ts';
import { pausePostcopy, recoverPostcopy, startPostcopy } from './migration/postcopy.ts';
import { progressOf } from './migration/progress.ts';
import { queryMigration } from './migration/query.ts';
import { recoverMigrations } from './migration/recovery.ts';
import { withLiveFigures } from './migration/row-figures.ts';
import { refuseBlockerTooLate, startMigration } from './migration/start.ts';
import { migrationThreads } from './migration/threads.ts';
import { NO_REPLICATION } from './replication.ts';
import { Settings, type SettingsOverrides } from './settings/settings.ts';
import { settingsUseCases } from './settings/use-cases.ts';
import { Catalogue } from './snapshots/catalogue.ts';
import { Expiry } from './snapshots/expiry.ts';
import { recoverSnapshots } from './snapshots/recovery.ts';
import { snapshotUseCases } from './snapshots/use-cases.ts';
import { type ServiceFigures, Tally } from './tally.ts';

/** What a domain is made from: its surroundings, and how it begins. */
export type DomainDependencies = Surroundings & {
  /** --paused: the guest does not run before `cont`. */
  readonly startPaused: boolean;
  /** --incoming: run state inmigrate. */
  readonly incoming: boolean;
  readonly overrides: SettingsOverrides;
};

/**
 * Makes the use cases of one machine, closes what an earlier process left open, and sets the machine to its first run
 * state.
 * @throws DomainError if stored settings or overrides cannot be used.
 */
export function createDomain(dependencies: DomainDependencies): Domain {
  const context = createContext(dependencies);
  recoverMigrations({
    store: context.store,
    clock: context.clock,
    events: context.events,
    note: context.note,
  });
  const interrupted = recoverJobs(context);
  const expiry = new Expiry(context);
  const descriptors = descriptorUseCases(context);
  let recovery: Promise<void> | null = null;
  holdAtStart(context, dependencies);
  context.machine.onPanic((panic) => guestPanicked(context, panic));
  return {
    settings: settingsUseCases(context),
    migration: migrationUseCases(context),
    history: {
      list: (query) => {
        const { items, next } = context.store.migrations.list(query);
        return { items: items.map((record) => withLiveFigures(context, record)), next };
      },
      get: (id) => ({ record: migrationRecord(context, id), passes: context.store.migrations.passes(id) }),
      samples: (id, query) => {
        migrationRecord(context, id);
        return context.store.migrations.samples(id, query);
      },
    },
    snapshots: snapshotUseCases(context),
    idempotency: idempotency(context.store, context.clock),
    jobs: context.jobs,
    blockers: context.blockers,
    machine: machineUseCases(context),
    descriptors,
    fdSets: context.fdSets,
    dirty: dirtyUseCases(context),
    announcements: context.announcer,
    devices: deviceStateUseCases(context),
    replication: NO_REPLICATION,
    events: context.events,
    audit: new AuditTrail({ audit: context.store.audit, clock: context.clock, report: context.report }),
    figures: () => figuresOf(context),
    recovered: () => {
      recovery ??= recoverSnapshots(context, interrupted).then(() => expiry.start());
      return recovery;
    },
    drain: (timeoutMs) => drain(context, timeoutMs),
    close: () => {
      expiry.close();
      return closeDomain(context).finally(() => {
        descriptors.closeAll();
        context.fdSets.closeAll();
      });
    },
  };
}

/** What the doors may ask of migrations. */
function migrationUseCases(context: Context): MigrationUseCases {
  return {
    query: () => queryMigration(context),
    revision: () => context.changes.revision(),
    changed: (seen, timeoutMs, signal) => context.changes.changed(seen, timeoutMs, signal),
    state: {
      revision: () => context.changes.stateRevision,
      changed: (seen, timeoutMs, signal) => context.changes.stateChanged(seen, timeoutMs, signal),
    },
    newest: () => (context.current === null ? null : { id: context.current.id, status: context.current.status }),
    progress: () => progressOf(context),
    start: (arguments_, begun) => startMigration(context, arguments_, begun),
    incoming: (arguments_, begun) => startIncoming(context, arguments_, begun),
    stopListening: () => stopListening(context),
    cancel: () => cancelMigration(context),
    continue: (state) => continueMigration(context, state),
    threads: () => migrationThreads(context),
    pause: () => pausePostcopy(context),
    recover: (uri) => recoverPostcopy(context, uri),
    startPostcopy: () => startPostcopy(context),
    ended: (id, timeoutMs, signal) => endedMigration(context, id, { timeoutMs, signal }),
  };
}

function createContext(dependencies: DomainDependencies): Context {
  const { store, clock, schedule, nextTurn, ids, note, report } = dependencies;
  const events = new EventHub(store, clock, report);
  const tally = new Tally();
  const changes = new Changes(schedule, () => context.current?.liveRevision() ?? 0);
  const context: Context = {
    ...dependencies,
    fds: new Map(dependencies.fds),
    fdSets: new FdSets(dependencies.descriptorCalls),
    events,
    settings: new Settings(store, dependencies.overrides, {
      isIncomingStarted: () => isIncomingUnderWay(context),
      hasDirtyRing: () => dependencies.machine.dirty.ringEntries !== null,
    }),
    runState: new RunStateHolder(firstRunState(dependencies)),
    blockers: new Blockers({
      ids,
      isOnlyMigratable: dependencies.isOnlyMigratable,
      onChange: () => changes.bump(),
      refuseTooLate: () => refuseBlockerTooLate(context),
    }),
    changes,
    jobs: new Jobs({ store, events, clock, schedule, nextTurn, note, report, tally }),
    tally,
    catalogue: new Catalogue(dependencies.blocks),
    dirtyRate: new DirtyRate({ port: dependencies.machine.dirty, clock, schedule, report }),
    dirtyLimits: new DirtyLimits(dependencies.machine),
    announcer: new Announcer({ store, clock, schedule, note, report, parameters: () => context.settings.announce() }),
    current: null,
    reception: null,
    hasGuestThatLeft: false,
    isListenerStarting: false,
    isTakingDisks: false,
    unrecovered: [],
    isMovingDevices: false,
    autostart: !dependencies.startPaused,
    isClosing: false,
  };
  return context;
}

function figuresOf({ tally, catalogue, store }: Context): ServiceFigures {
  const snapshots = catalogue.all();
  const lastGoodSnapshotMs = snapshots.find(({ isConsistent }) => isConsistent)?.dateMs ?? null;
  const counted = { migrations: tally.migrations(), jobs: tally.jobs(), snapshots: snapshots.length };
  return { ...counted, lastGoodSnapshotMs, store: store.figures() };
}

function firstRunState({ incoming, startPaused, machine }: DomainDependencies): RunState {
  if (incoming) return 'inmigrate';
  return startPaused || !machine.canRun ? 'prelaunch' : 'running';
}

function holdAtStart(context: Context, { incoming, startPaused }: DomainDependencies): void {
  const reason = incoming ? 'incoming' : startPaused ? 'operator' : null;
  if (reason === null || context.machine.isHeldFor(reason)) return;
  void context.machine.hold(reason).catch(context.report);
}

async function closeDomain(context: Context): Promise<void> {
  context.isClosing = true;
  context.announcer.close();
  await Promise.all([context.jobs.close(), closeMigration(context), context.dirtyRate.close()]);
}

async function closeMigration(context: Context): Promise<void> {
  const { current } = context;
  if (current?.direction === 'outgoing' && !current.isEnded) await cancelMigration(context);
  await context.reception?.abort();
  await (current?.isEnded === false ? current.settled : null);
}
