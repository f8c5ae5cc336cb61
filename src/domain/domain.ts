import { Announcer, type AnnounceUseCases } from './announce/announcer.ts';
import { AuditTrail, type AuditUseCases } from './audit.ts';
import { DirtyLimits } from './dirty/dirty-limits.ts';
import { DirtyRate, dirtyUseCases } from './dirty/dirty-rate-measurement.ts';
import type { DirtyUseCases } from './dirty/dirty-types.ts';
import { Changes, EventHub, type EventUseCases } from './events/event-hub.ts';
import { OutcomeCounts, type ServiceFigures } from './events/outcomes.ts';
import { Guest, GuestDisks } from './guest/guest.ts';
import { guestPanicked } from './guest/guest-interruptions.ts';
import { guestUseCases, type MachineUseCases } from './guest/guest-use-cases.ts';
import { type IdempotencyUseCases, idempotency } from './idempotency.ts';
import { recoverJobs } from './jobs/job-journal.ts';
import { Jobs, type JobUseCases } from './jobs/jobs.ts';
import {
  type DescriptorUseCases,
  FdSets,
  type FdSetUseCases,
  NamedDescriptors,
} from './migration/client-descriptors.ts';
import { Migrations } from './migration/current-migration.ts';
import { Blockers, type BlockerUseCases } from './migration/migration-blockers.ts';
import { type HistoryUseCases, historyUseCases } from './migration/migration-history.ts';
import { MigrationJournal, recoverMigrations } from './migration/migration-journal.ts';
import { cancelMigration, type MigrationUseCases, migrationUseCases } from './migration/migration-use-cases.ts';
import { queryMigration } from './migration/query.ts';
import { Occupancy } from './occupancy.ts';
import type { Hypervisor } from './ports/hypervisor.ts';
import type { Deadlines } from './ports/migration-session.ts';
import type { Clock, DescriptorCalls, Identity, IdSource, NextTurn, Note, Report, Schedule } from './ports/process.ts';
import type { Store } from './ports/store.ts';
import {
  type DeviceStateUseCases,
  deviceStateUseCases,
  NO_REPLICATION,
  type ReplicationUseCases,
} from './replication.ts';
import { Settings, type SettingsOverrides } from './settings/settings.ts';
import { type SettingsUseCases, settingsUseCases } from './settings/settings-use-cases.ts';
import { Catalogue } from './snapshots/catalogue.ts';
import { Expiry } from './snapshots/expiry.ts';
import { SnapshotRecovery } from './snapshots/snapshot-recovery.ts';
import { type SnapshotUseCases, snapshotUseCases } from './snapshots/snapshot-use-cases.ts';

/*
 * One machine: its families of use cases, composed. No family imports this file, and a family imports only families
 * before it in this order: ports; events, with the store's reserve; announce, dirty; settings; occupancy; guest; jobs;
 * snapshots; migration; devices. If a family needs a later one, it receives a function from this file.
 *
 * Members with a dash have the names of QAPI, so that client interfaces pass them on unchanged. A `number | bigint` is
 * exact: bigint above 2^53. Every use case throws DomainError and changes nothing when it is refused.
 */

/** One machine and everything that can be done with it. */
export interface Domain {
  readonly settings: SettingsUseCases;
  readonly migration: MigrationUseCases;
  readonly history: HistoryUseCases;
  readonly snapshots: SnapshotUseCases;
  readonly idempotency: IdempotencyUseCases;
  readonly jobs: JobUseCases;
  readonly blockers: BlockerUseCases;
  readonly machine: MachineUseCases;
  readonly descriptors: DescriptorUseCases;
  readonly fdSets: FdSetUseCases;
  readonly dirty: DirtyUseCases;
  readonly devices: DeviceStateUseCases;
  readonly replication: ReplicationUseCases;
  readonly announcements: AnnounceUseCases;
  readonly events: EventUseCases;
  readonly audit: AuditUseCases;
  /** Figures of the service, for monitoring. */
  figures(): ServiceFigures;
  /**
   * Resolves when images that an earlier process left incomplete are repaired; the caller must call nothing else
   * before.
   */
  recovered(): Promise<void>;
  /**
   * Refuses new work. Resolves when all running work has ended, or after `timeoutMs`. Waiting jobs were accepted, so
   * they still run. An incoming migration is aborted immediately, because its guest would be stopped after its arrival.
   */
  drain(timeoutMs: number): Promise<void>;
  /**
   * Ends the running work (cancels an outgoing migration and jobs, aborts an incoming migration) and writes the rest.
   */
  close(): Promise<void>;
}

/** Parts of a domain that come from outside. The caller that made the store and the hypervisor closes them. */
export type Dependencies = {
  readonly store: Store;
  readonly hypervisor: Hypervisor;
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly nextTurn: NextTurn;
  readonly ids: IdSource;
  readonly identity: Identity;
  /** Absolute path of the only folder below which `file:` addresses may lie. */
  readonly fileRoot: string;
  readonly allowExec: boolean;
  /** Inherited descriptors by name. */
  readonly fds: ReadonlyMap<string, number>;
  readonly descriptorCalls: DescriptorCalls;
  readonly deadlines: Deadlines;
  /**
   * --keep-listening: default of requests. True: after a failed incoming migration the listener waits for the next
   * sender.
   */
  readonly keepListening: boolean;
  /** --only-migratable: no blocker can be added. */
  readonly isOnlyMigratable: boolean;
  /** --paused: the guest does not run before `cont`. */
  readonly startPaused: boolean;
  /** --incoming: the machine starts in `inmigrate`. */
  readonly incoming: boolean;
  /** Settings of this start only. */
  readonly overrides: SettingsOverrides;
  /** Ends the process: `failed` is true after an incoming migration with exit-on-error failed. */
  readonly exitProcess: (failed: boolean) => void;
  readonly report: Report;
  readonly note: Note;
};

/**
 * Makes the use cases of one machine, closes the migrations and jobs that an earlier process left open, and sets the
 * machine to its first run state.
 * @throws DomainError if stored settings or overrides cannot be used.
 */
export function createDomain(dependencies: Dependencies): Domain {
  const { store, clock, hypervisor, report } = dependencies;
  const parts = partsOf(dependencies);
  const { guest, migrations, jobs, blockers, announcer, occupancy, dirtyRate, dirtyLimits, descriptors, fdSets } =
    parts;
  recoverMigrations(parts);
  const interrupted = recoverJobs(parts);
  const expiry = new Expiry(parts);
  let recovered: Promise<void> | null = null;
  guest.holdAtStart();
  hypervisor.onPanic((panic) => guestPanicked(parts, panic));
  const beginClosing = (): void => {
    occupancy.close();
    jobs.refuseNew();
  };
  return {
    settings: settingsUseCases({ ...parts, follower: migrations }),
    migration: migrationUseCases(parts),
    history: historyUseCases(parts),
    snapshots: snapshotUseCases(parts),
    idempotency: idempotency(store, clock),
    jobs,
    blockers,
    machine: guestUseCases(parts),
    descriptors,
    fdSets,
    dirty: dirtyUseCases(dirtyRate, dirtyLimits),
    announcements: announcer,
    devices: deviceStateUseCases(parts),
    replication: NO_REPLICATION,
    events: parts.events,
    audit: new AuditTrail({ audit: store.audit, clock, report }),
    figures: () => figuresOf(parts),
    recovered: () => {
      recovered ??= parts.snapshotRecovery.atStart(interrupted).then(() => expiry.start());
      return recovered;
    },
    drain: async (timeoutMs) => {
      beginClosing();
      void migrations.listener?.abort();
      const ended = Promise.all([jobs.idle(), migrations.running?.settled]);
      if (timeoutMs > 0) await withinTime(dependencies.schedule, ended, timeoutMs);
    },
    close: async () => {
      expiry.close();
      beginClosing();
      announcer.close();
      await Promise.all([jobs.close(), closeMigrations(parts), dirtyRate.close()]).finally(() => {
        descriptors.closeAll();
        fdSets.closeAll();
      });
    },
  };
}

/** The collaborators of one machine's use cases, each made once. Everything mutable belongs to one of them. */
function partsOf(dependencies: Dependencies) {
  const { store, hypervisor, clock, schedule, ids, identity, note, report } = dependencies;
  const { fileRoot, allowExec } = dependencies;
  const { blocks } = hypervisor;
  const events = new EventHub(store, clock, report);
  const outcomeCounts = new OutcomeCounts();
  const migrations = new Migrations();
  const changes = new Changes(schedule, () => migrations.current?.liveRevision() ?? 0);
  const dirtyRate = new DirtyRate({ port: hypervisor.dirty, clock, schedule, report });
  const dirtyLimits = new DirtyLimits(hypervisor);
  const jobs = new Jobs({ ...dependencies, events, outcomeCounts });
  const jobWithMachine = () => jobs.holderOf('machine');
  const occupancy = new Occupancy({
    migration: () => migrations.current,
    jobWithMachine,
    guest: () => ({ state: guest.state, isLoaded: hypervisor.isLoaded, areDisksActive: disks.isActive }),
  });
  const settings = new Settings(store, dependencies.overrides, {
    isIncomingStarted: () => occupancy.isIncomingUnderWay,
    hasDirtyRing: () => hypervisor.dirty.ringEntries !== null,
  });
  const announcer = new Announcer({ store, clock, schedule, note, report, parameters: () => settings.announce() });
  const { incoming: isAwaited, startPaused: startsPaused, isOnlyMigratable } = dependencies;
  const guest = new Guest({ machine: hypervisor, isAwaited, startsPaused, events, changes, report });
  const catalogue = new Catalogue(blocks);
  const snapshotRecovery = new SnapshotRecovery({ blocks, catalogue, store, note, report });
  const disks = new GuestDisks({ blocks, onActivated: () => snapshotRecovery.afterActivation(), report });
  const onChange = () => changes.bump();
  const blockers = new Blockers({ ids, isOnlyMigratable, onChange, occupancy });
  const descriptors = new NamedDescriptors(dependencies.fds, dependencies.descriptorCalls.close);
  const fdSets = new FdSets(dependencies.descriptorCalls);
  const parts = {
    ...dependencies,
    ...{
      events,
      outcomeCounts,
      migrations,
      changes,
      dirtyRate,
      dirtyLimits,
      jobs,
      occupancy,
      settings,
      announcer,
      guest,
    },
    ...{ blocks, machine: hypervisor, catalogue, snapshotRecovery, disks, blockers, descriptors, fdSets },
    addressRules: { fileRoot, allowExec, fds: descriptors.byName, fdSets },
    // A generated uuid differs on each side, so it is no reason to refuse a guest.
    comparedUuid: identity.isUuidSet ? identity.uuid : null,
  };
  const settingsJson = () => settings.toJson();
  return { ...parts, journal: new MigrationJournal({ ...parts, settingsJson, query: () => queryMigration(parts) }) };
}

type Parts = ReturnType<typeof partsOf>;

function figuresOf({ outcomeCounts, catalogue, store }: Parts): ServiceFigures {
  const snapshots = catalogue.all();
  const lastGoodSnapshotMs = snapshots.find(({ isConsistent }) => isConsistent)?.dateMs ?? null;
  const counted = { migrations: outcomeCounts.migrations(), jobs: outcomeCounts.jobs(), snapshots: snapshots.length };
  return { ...counted, lastGoodSnapshotMs, store: store.figures() };
}

/** Resolves with the work, or after `timeoutMs`. */
async function withinTime(schedule: Schedule, work: Promise<unknown>, timeoutMs: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const callOff = schedule(resolve, timeoutMs);
  await Promise.race([work, late]);
  callOff();
}

async function closeMigrations(parts: Parts): Promise<void> {
  const { current, running } = parts.migrations;
  if (running?.direction === 'outgoing') await cancelMigration(parts);
  await parts.migrations.listener?.abort();
  if (current?.isEnded === false) await current.settled;
}
