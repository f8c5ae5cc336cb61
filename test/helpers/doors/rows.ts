// A valid and a refused call of every command of the table, in the order of the table.

import { openSync } from 'node:fs';
import { execute } from '../../../src/commands/execute.ts';
import { stop } from '../../../src/commands/machine.ts';
import { dirtyLimitText, dirtyRateText, statusText } from '../../../src/hmp/formats/machine.ts';
import { migrateText } from '../../../src/hmp/formats/migrate.ts';
import { capabilitiesText, parametersText } from '../../../src/hmp/formats/settings.ts';
import { jobsText, snapshotsText } from '../../../src/hmp/formats/snapshots.ts';
import type { FakeApp } from '../app.ts';
import { type HeldState, jobIn } from '../jobs.ts';
import type { DoorCall, DoorRow, GoodCall } from './row.ts';

const URI = 'tcp:127.0.0.1:4444';
const DEFER = ['--incoming', 'defer'];
const TAG = 'a';
const ON_BOTH = { tag: TAG, vmstate: 'disk0', devices: ['disk0', 'disk1'] };
const AS_QUERY_MIGRATE = { query: 'query-migrate' };

/** A migration in this state. */
function migrating(...steps: readonly ('active' | 'pre-switchover')[]) {
  return ({ domain, outgoing }: FakeApp): string => {
    const { id } = domain.migration.start({ uri: URI });
    for (const step of steps) outgoing().step(step);
    return id;
  };
}

function newestMigration({ domain }: FakeApp): { readonly id: string } {
  const [record] = domain.history.list({ limit: 1, cursor: null }).items;
  return { id: String(record?.id) };
}

/** An incoming migration without a sender. */
async function listening({ domain, incoming }: FakeApp): Promise<void> {
  const begun = domain.migration.incoming({ uri: URI });
  incoming().listen();
  await begun;
}

function held(state: HeldState) {
  return (app: FakeApp) => jobIn(app, 'j', state);
}

function saved({ blocks }: FakeApp): void {
  blocks.put('disk0', { tag: TAG, vmStateBytes: 4096 });
  blocks.put('disk1', { tag: TAG });
}

/** A number that no descriptor has, the same in each service, whose states are compared; closing it has no effect. */
const NO_DESCRIPTOR = 1_000_000;

function addedFd({ domain }: FakeApp): void {
  domain.fdSets.add({ descriptor: NO_DESCRIPTOR, id: 7, opaque: 'passed' });
}

function withRing({ machine }: FakeApp): void {
  machine.dirty.ringEntries = 4096;
}

/** A job that has started. */
const asBegun = ({ id, type, details }: { id: string; type: string; details: unknown }) => ({ id, type, details });

/** A verb, told to a job in this state; `endsIn` is the state of a job that goes on by itself from there. */
function jobVerb(state: HeldState, endsIn?: 'concluded'): DoorRow {
  const shows = { query: 'x-ferry-query-job', given: { id: 'j' } };
  const after: GoodCall['after'] = ({ domain }) => domain.jobs.ended('j', 20_000);
  return {
    good: {
      prepare: held(state),
      given: { id: 'j' },
      shows,
      ...(endsIn === undefined ? {} : { after, lasting: asBegun }),
    },
    refused: { given: { id: 'none' } },
  };
}

/** A snapshot command: over HTTP and QMP, each with its job. */
function snapshotJob(given: NonNullable<GoodCall['given']>, prepare?: DoorCall['prepare']): GoodCall {
  const shows = { query: 'x-ferry-query-job', given: { id: 'j' } };
  const after: GoodCall['after'] = ({ domain }) => domain.jobs.ended('j', 20_000);
  return { given, shows, after, lasting: asBegun, ...(prepare === undefined ? {} : { prepare }) };
}

const MIGRATION_ROWS: Readonly<Record<string, DoorRow>> = {
  migrate: {
    good: {
      given: { uri: URI },
      line: `migrate -d ${URI}`,
      shows: { query: 'x-ferry-query-migrations', pick: ({ migrations }: { migrations: unknown[] }) => migrations[0] },
    },
    refused: {
      prepare: ({ domain }) => domain.blockers.add('A disk is plugged in.'),
      given: { uri: URI },
      line: `migrate -d ${URI}`,
    },
  },
  migrate_cancel: { good: { line: 'migrate_cancel' } },
  'migrate-continue': {
    good: {
      prepare: migrating('active', 'pre-switchover'),
      given: { state: 'pre-switchover' },
      line: 'migrate_continue pre-switchover',
      shows: AS_QUERY_MIGRATE,
    },
    refused: { given: { state: 'pre-switchover' }, line: 'migrate_continue pre-switchover' },
  },
  'migrate-incoming': {
    good: {
      flags: DEFER,
      given: { uri: URI },
      line: `migrate_incoming ${URI}`,
      meanwhile: async ({ incoming }) => {
        while (incoming() === undefined) await new Promise(setImmediate);
        incoming().listen();
      },
      shows: { query: 'x-ferry-query-migrations', pick: ({ migrations }: { migrations: unknown[] }) => migrations[0] },
    },
    refused: { given: { uri: URI }, line: `migrate_incoming ${URI}` },
  },
  'x-ferry-stop-listening': {
    good: { flags: DEFER, prepare: listening },
    refused: {},
  },
  'migrate-pause': { good: 'postcopy-ram', refused: { line: 'migrate_pause' } },
  'migrate-recover': { good: 'postcopy-ram', refused: { given: { uri: URI }, line: `migrate_recover ${URI}` } },
  'migrate-start-postcopy': { good: 'postcopy-ram', refused: { line: 'migrate_start_postcopy' } },
  'query-migrate': {
    good: {
      prepare: migrating('active'),
      line: 'info migrate',
      shown: (info: Parameters<typeof migrateText>[0]) =>
        migrateText(info, { withZeros: false, isOnlyMigratable: false }),
    },
  },
  'x-ferry-query-progress': { good: { prepare: migrating('active') } },
  'x-ferry-query-migration': {
    good: { prepare: migrating('active'), given: newestMigration },
    refused: { given: { id: 'none' } },
  },
  'x-ferry-query-migrations': {
    good: { prepare: migrating('active'), given: { limit: 1, status: 'active' } },
    refused: { given: { limit: 0 } },
  },
  'x-ferry-query-samples': {
    good: { prepare: migrating('active'), given: newestMigration },
    refused: { given: { id: 'none' } },
  },
  'x-ferry-add-blocker': {
    good: { given: { reason: 'A disk is plugged in.' } },
    refused: { given: { reason: '' } },
  },
  'x-ferry-query-blockers': { good: { prepare: ({ domain }) => domain.blockers.add('A disk is plugged in.') } },
  'x-ferry-remove-blocker': {
    good: {
      prepare: ({ domain }) => domain.blockers.add('A disk is plugged in.'),
      given: ({ domain }) => ({ id: String(domain.blockers.list()[0]?.id) }),
    },
    refused: { given: { id: 'none' } },
  },
};

const SETTINGS_ROWS: Readonly<Record<string, DoorRow>> = {
  'migrate-set-capabilities': {
    good: {
      given: { capabilities: [{ capability: 'return-path', state: true }] },
      line: 'migrate_set_capability return-path on',
      shows: { query: 'query-migrate-capabilities' },
    },
    refused: {
      given: { capabilities: [{ capability: 'xbzrle', state: true }] },
      line: 'migrate_set_capability xbzrle on',
    },
  },
  'migrate-set-parameters': {
    good: {
      given: { 'downtime-limit': 77 },
      line: 'migrate_set_parameter downtime-limit 77',
      shows: { query: 'query-migrate-parameters' },
    },
    refused: {
      given: { 'downtime-limit': 2_000_001 },
      line: 'migrate_set_parameter downtime-limit 2000001',
    },
  },
  'query-migrate-capabilities': { good: { line: 'info migrate_capabilities', shown: capabilitiesText } },
  'query-migrate-parameters': { good: { line: 'info migrate_parameters', shown: parametersText } },
  'migrate-set-cache-size': { good: { given: { value: 2 ** 20 } }, refused: { given: { value: 5 } } },
  migrate_set_downtime: { good: { given: { value: 0.5 } }, refused: { given: { value: 1e9 } } },
  migrate_set_speed: { good: { given: { value: 2 ** 20 } }, refused: { given: { value: -1 } } },
  'query-migrate-cache-size': { good: {} },
};

const MACHINE_ROWS: Readonly<Record<string, DoorRow>> = {
  cont: {
    good: { flags: ['--paused'], line: 'cont', shows: { query: 'query-status' } },
    refused: { prepare: ({ machine }) => machine.panic(), line: 'cont' },
  },
  stop: { good: { line: 'stop', shows: { query: 'query-status' } } },
  'query-status': { good: { line: 'info status', shown: statusText } },
  'x-ferry-query-console': { good: {} },
  'x-ferry-query-machine': { good: {} },
  'x-ferry-set-workload': { good: { given: { rate: 5 } }, refused: { given: { rate: -1 } } },
  'calc-dirty-rate': {
    good: {
      given: { 'calc-time': 1 },
      line: 'calc_dirty_rate 1',
      shown: () =>
        "Starting dirty rate measurement with period 1 seconds\n[Please use 'info dirty_rate' to check results]\n",
      shows: { query: 'query-dirty-rate' },
    },
    refused: { given: { 'calc-time': 61 }, line: 'calc_dirty_rate 61' },
  },
  'query-dirty-rate': { good: { line: 'info dirty_rate', shown: dirtyRateText } },
  'query-migrationthreads': { good: { prepare: migrating('active') } },
  'set-vcpu-dirty-limit': {
    good: {
      prepare: withRing,
      given: { 'dirty-rate': 5, 'cpu-index': 0 },
      line: 'set_vcpu_dirty_limit 5 0',
      shown: () => "[Please use 'info vcpu_dirty_limit' to query dirty limit for virtual CPU]\n",
      shows: { query: 'query-vcpu-dirty-limit' },
    },
    refused: { given: { 'dirty-rate': 5, 'cpu-index': 0 }, line: 'set_vcpu_dirty_limit 5 0' },
  },
  'cancel-vcpu-dirty-limit': {
    good: {
      prepare: (app) => {
        withRing(app);
        app.domain.dirty.setVcpuDirtyLimit(5);
      },
      given: { 'cpu-index': 0 },
      line: 'cancel_vcpu_dirty_limit 0',
      shown: () => "[Please use 'info vcpu_dirty_limit' to query dirty limit for virtual CPU]\n",
      shows: { query: 'query-vcpu-dirty-limit' },
    },
    refused: { prepare: withRing, given: { 'cpu-index': 9 }, line: 'cancel_vcpu_dirty_limit 9' },
  },
  'query-vcpu-dirty-limit': {
    good: {
      prepare: (app) => {
        withRing(app);
        app.domain.dirty.setVcpuDirtyLimit(5);
      },
      line: 'info vcpu_dirty_limit',
      shown: dirtyLimitText,
    },
  },
  'x-ferry-query-vcpu-dirty-limit': {
    good: {
      prepare: (app) => {
        withRing(app);
        app.domain.dirty.setVcpuDirtyLimit(5);
      },
      given: { 'cpu-index': 0 },
      shows: { query: 'query-vcpu-dirty-limit' },
    },
    refused: { given: { 'cpu-index': 9 } },
  },
};

/** JobInfo has a part of what HTTP shows of a job. */
function jobInfos({ jobs }: { jobs: readonly Readonly<Record<string, unknown>>[] }) {
  const members = ['id', 'current-progress', 'total-progress', 'error', 'type', 'status'];
  return jobs.map((job) => Object.fromEntries(Object.entries(job).filter(([name]) => members.includes(name))));
}

const JOB_ROWS: Readonly<Record<string, DoorRow>> = {
  'job-cancel': jobVerb('running', 'concluded'),
  'job-complete': jobVerb('ready', 'concluded'),
  'job-dismiss': jobVerb('concluded', 'concluded'),
  'job-finalize': jobVerb('pending'),
  'job-pause': jobVerb('running'),
  'job-resume': jobVerb('paused'),
  'query-jobs': { good: { prepare: held('running'), view: jobInfos } },
  'x-ferry-query-jobs': {
    good: {
      prepare: held('running'),
      line: 'info jobs',
      shown: ({ jobs }: { jobs: Parameters<typeof jobsText>[0] }) => jobsText(jobs),
    },
  },
  'x-ferry-query-job': { good: { prepare: held('running'), given: { id: 'j' } }, refused: { given: { id: 'none' } } },
  'x-ferry-query-job-history': {
    good: { prepare: held('concluded'), given: { outcome: 'completed', limit: 1 } },
    refused: { given: { outcome: 'splendid' } },
  },
};

const SNAPSHOT_ROWS: Readonly<Record<string, DoorRow>> = {
  'snapshot-save': {
    // Over HTTP its path leads to the command that can do more; this one to itself.
    good: { given: { 'job-id': 'j', ...ON_BOTH } },
  },
  'snapshot-load': {
    good: snapshotJob({ 'job-id': 'j', ...ON_BOTH }, saved),
    refused: { prepare: saved, given: { 'job-id': 'k', ...ON_BOTH, devices: ['disk0', 'disk9'] }, byJob: true },
  },
  'snapshot-delete': {
    good: snapshotJob({ 'job-id': 'j', tag: TAG, devices: ['disk0', 'disk1'] }, saved),
    refused: { flags: DEFER, prepare: saved, given: { 'job-id': 'k', tag: TAG, devices: ['disk0'] }, byJob: true },
  },
  'x-ferry-snapshot-save': {
    good: snapshotJob({ 'job-id': 'j', tag: TAG, description: 'before', replace: true }, saved),
    refused: { prepare: saved, given: { 'job-id': 'k', tag: TAG } },
  },
  'x-ferry-snapshot-verify': {
    good: snapshotJob({ 'job-id': 'j', tag: TAG }, saved),
    refused: { given: { 'job-id': 'k', tag: TAG } },
  },
  'x-ferry-snapshot-compact': {
    good: snapshotJob({ 'job-id': 'j', devices: ['disk0', 'disk1'] }),
    refused: { given: { 'job-id': 'k', devices: ['disk9'] } },
  },
  'x-ferry-query-snapshot': { good: { prepare: saved, given: { tag: TAG } }, refused: { given: { tag: 'none' } } },
  'x-ferry-query-snapshots': { good: { prepare: saved, given: { node: 'disk1' } }, refused: { given: { node: 'x' } } },
  'x-ferry-query-vm-snapshots': { good: { prepare: saved, line: 'info snapshots', shown: snapshotsText } },
  'x-ferry-savevm': {
    good: { given: { name: TAG }, line: `savevm ${TAG}` },
    refused: { given: { name: '12' }, line: 'savevm 12' },
  },
  'x-ferry-loadvm': {
    good: { prepare: saved, given: { tag: TAG }, line: `loadvm ${TAG}` },
    refused: { given: { tag: 'none' }, line: 'loadvm none' },
  },
  'x-ferry-delvm': {
    good: { prepare: saved, given: { tag: TAG }, line: `delvm ${TAG}` },
    refused: { flags: DEFER, prepare: saved, given: { tag: TAG }, line: `delvm ${TAG}` },
  },
};

const SCHEDULE = { initial: 100_000, max: 100_000, rounds: 5, step: 100 };

/** The line takes the schedule from the parameters. The round after the first is too far away to come. */
function withSlowAnnouncements({ domain }: FakeApp): void {
  domain.settings.setParameters({ 'announce-initial': 100_000, 'announce-max': 100_000 });
}

function announced({ domain }: FakeApp): void {
  domain.announcements.announce(SCHEDULE);
}

const ANNOUNCE_ROWS: Readonly<Record<string, DoorRow>> = {
  'announce-self': {
    good: {
      prepare: withSlowAnnouncements,
      given: { ...SCHEDULE, interfaces: ['vn2', 'vn3'], id: 'bob' },
      line: 'announce_self vn2,vn3 bob',
      shows: { query: 'x-ferry-query-announcement', given: { id: '1' } },
    },
  },
  'x-ferry-query-announcements': {
    good: { prepare: announced, given: { limit: 1 } },
    refused: { given: { limit: 0 } },
  },
  'x-ferry-query-announcement': {
    good: { prepare: announced, given: { id: '1' } },
    refused: { given: { id: 'none' } },
  },
};

const STATE_FILE = { filename: 'state.bin' };

const XEN_AND_COLO_ROWS: Readonly<Record<string, DoorRow>> = {
  'xen-save-devices-state': { good: { given: STATE_FILE }, refused: { given: { filename: '' } } },
  'xen-load-devices-state': {
    good: {
      flags: ['--paused'],
      prepare: ({ domain }) => domain.devices.save(STATE_FILE.filename),
      given: STATE_FILE,
    },
    refused: { given: STATE_FILE },
  },
  'xen-set-global-dirty-log': { good: { given: { enable: true } }, refused: { given: { enable: 1 } } },
  'xen-set-replication': {
    good: { given: { enable: true, primary: false }, shows: { query: 'query-xen-replication-status' } },
    refused: { given: { enable: true, primary: false, failover: true } },
  },
  'query-xen-replication-status': { good: {} },
  'xen-colo-do-checkpoint': { good: { shows: { query: 'query-xen-replication-status' } } },
  'query-colo-status': { good: {} },
  'x-colo-lost-heartbeat': { good: 'x-colo', refused: { line: 'x_colo_lost_heartbeat' } },
};

const SERVICE_ROWS: Readonly<Record<string, DoorRow>> = {
  'x-ferry-query-audit': { good: { prepare: ({ domain }) => execute(stop, { domain, arguments: {} }) } },
  'query-version': { good: { line: 'info version', shown: () => '10.0.0vmferry\n' } },
  'query-name': { good: { line: 'info name', shown: ({ name }: { name: string }) => `${name}\n` } },
  'query-uuid': { good: { line: 'info uuid', shown: ({ UUID }: { UUID: string }) => `${UUID}\n` } },
  getfd: { good: { given: { fdname: 'a' } }, refused: { given: { fdname: 'a' } }, isOfSocket: true },
  closefd: {
    good: {
      prepare: ({ domain }) => domain.descriptors.keep('a', openSync('/dev/null', 'r')),
      given: { fdname: 'a' },
    },
    refused: { given: { fdname: 'a' } },
  },
  'add-fd': { good: { given: {} }, refused: { given: {} }, isOfSocket: true },
  'remove-fd': {
    good: { prepare: addedFd, given: { 'fdset-id': 7 } },
    refused: { given: { 'fdset-id': 7 } },
  },
  'query-fdsets': { good: { prepare: addedFd } },
  'query-kvm': { good: {} },
  'query-target': { good: {} },
  'query-cpus-fast': { good: {} },
  'query-block': { good: { prepare: saved } },
  'query-named-block-nodes': {
    good: { prepare: saved, given: { flat: true } },
    refused: { given: { flat: 1 } },
  },
  'query-block-jobs': { good: {} },
  'query-iothreads': { good: {} },
  'query-chardev': { good: {} },
  'query-memory-size-summary': { good: {} },
  'query-machines': { good: { given: { 'compat-props': true } }, refused: { given: { 'compat-props': 1 } } },
  'query-current-machine': { good: {} },
  'query-cpu-definitions': { good: {} },
  'query-hotpluggable-cpus': { good: null, refused: {} },
  'query-command-line-options': { good: {}, refused: { given: { option: 'machine' } } },
  'query-balloon': { good: null, refused: { errorClass: 'DeviceNotActive' } },
  'query-memory-devices': { good: {} },
  'query-pr-managers': { good: {} },
  'query-tpm-models': { good: {} },
  'query-tpm-types': { good: {} },
  quit: { good: {} },
  'human-monitor-command': {
    good: {
      given: { 'command-line': 'info status' },
      line: 'info status',
      shown: (text: string) => text.replaceAll('\r\n', '\n'),
    },
    refused: { given: { 'command-line': 'info status', 'cpu-index': 7 } },
  },
  qmp_capabilities: { good: { given: { enable: ['oob'] } }, isOfConnection: true },
  'query-commands': { good: {} },
  'query-qmp-schema': { good: {} },
};

/** A row for every command of the table. */
export const ROWS: ReadonlyMap<string, DoorRow> = new Map(
  [
    ...[MIGRATION_ROWS, SETTINGS_ROWS, MACHINE_ROWS, JOB_ROWS, SNAPSHOT_ROWS],
    ...[ANNOUNCE_ROWS, XEN_AND_COLO_ROWS, SERVICE_ROWS],
  ].flatMap((family) => Object.entries(family)),
);
