// A service that is killed at a named point of its work (preload.ts), and what must hold when it starts again on the same data.

import { once } from 'node:events';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { expect } from 'vitest';
import { DATABASE_FILE } from '../../../src/store/database.ts';
import { temporaryDirectory } from '../app.ts';
import { type MigrationRow, type Spawned, spawnService } from '../guest-service.ts';
import { openPeer } from '../peer.ts';
import { checkImage, createImage, tagsOf } from '../snapshots/qemu-image.ts';
import { expectCleanWhileQuiet, Snapshots, type Work } from '../snapshots/snapshot-client.ts';

const PRELOAD = fileURLToPath(new URL('./preload.ts', import.meta.url));
const GUEST = ['--ram', '8M', '--workload', 'rate=1M,span=1M,pattern=hot', '--vcpus', '1'];
const NODES = ['disk0', 'disk1'];
const ALL = { vmstate: 'disk0', devices: NODES };
const ENDED: ReadonlySet<unknown> = new Set(['failed', 'completed', 'cancelled']);
/** Both parameters of a change always have the same value. */
const OLD = 100_000;
const NEW = 200_000;

export type KilledWork = Exclude<Work, 'verify'> | 'parameters' | 'migrate';
export type Outcome = 'killed' | 'survived';

/** A service with two disks and the snapshot `kept`, which can be killed at points of its work again and again. */
export class KillBed {
  readonly #data = temporaryDirectory();
  readonly #images = NODES.map((node) => createImage(join(this.#data, `${node}.qcow2`)));
  readonly #pointFile = join(temporaryDirectory(), 'point');
  #service!: Spawned;
  #snapshots!: Snapshots;

  static async make(): Promise<KillBed> {
    const bed = new KillBed();
    await bed.#start();
    await bed.#service.set({ 'max-bandwidth': OLD, 'downtime-limit': OLD });
    await bed.#snapshots.does('save', 'kept', ALL);
    return bed;
  }

  /**
   * Does the work in a service that ends by SIGKILL at `point`, starts the service again, and checks that everything is
   * as it was or as it was to be.
   * @returns `survived` if the work ended and did not reach the point.
   */
  async round(work: KilledWork, point: string): Promise<Outcome> {
    if (work === 'delete') await this.#snapshots.does('save', 'scratch', ALL);
    const exited = once(this.#service.process, 'exit').then((): Outcome => 'killed');
    writeFileSync(this.#pointFile, point);
    // The connection breaks if the service is killed before its answer.
    const done = this.#do(work).then(
      (): Outcome => 'survived',
      () => exited,
    );
    const outcome = await done;
    rmSync(this.#pointFile);
    if (outcome === 'survived') await this.#service.end('SIGKILL');
    this.#expectSoundFiles();
    await this.#start();
    await this.#expectWhole(work, outcome);
    return outcome;
  }

  async #start(): Promise<void> {
    const disks = NODES.flatMap((node, index) => ['--blockdev', `${node}=${this.#images[index]}`]);
    this.#service = await spawnService(this.#data, [...GUEST, ...disks], {
      environment: { NODE_OPTIONS: `--import=${PRELOAD}`, KILL_POINT_FILE: this.#pointFile },
    });
    this.#snapshots = new Snapshots(this.#service);
    await this.#service.expectRunning();
  }

  async #do(work: KilledWork): Promise<void> {
    if (work === 'parameters') return this.#service.set({ 'max-bandwidth': NEW, 'downtime-limit': NEW });
    if (work === 'migrate') {
      const peer = await openPeer();
      await this.#service.start(peer.uri);
      await this.#service.untilStatus('active');
      return;
    }
    if (work === 'load') await this.#snapshots.does('load', 'kept', ALL);
    else await this.#snapshots.does(work, 'scratch', work === 'save' ? ALL : { devices: NODES });
  }

  #expectSoundFiles(): void {
    for (const path of this.#images) expect(checkImage(path), path).toMatchObject({ corruptions: 0, checkErrors: 0 });
    const database = new Database(join(this.#data, DATABASE_FILE));
    expect(database.pragma('integrity_check', { simple: true })).toBe('ok');
    database.close();
    const names = readdirSync(this.#data, { recursive: true }).map(String);
    expect(names.filter((name) => /new|tmp|part|probe/.test(name))).toEqual([]);
  }

  async #expectWhole(work: KilledWork, outcome: Outcome): Promise<void> {
    await expectCleanWhileQuiet(this.#service, ...this.#images);
    await this.#expectClosedRows();
    const having = this.#images.filter((path) => tagsOf(path).includes('scratch')).length;
    if (work === 'save') expect([0, NODES.length]).toContain(having);
    if (outcome === 'survived') expect(having).toBe(work === 'save' ? NODES.length : 0);
    if (having > 0) await this.#snapshots.does('delete', 'scratch', { devices: NODES });
    await this.#expectParameters(work, outcome);
    for (const path of this.#images) expect(tagsOf(path)).toEqual(['kept']);
    await this.#snapshots.does('load', 'kept', ALL);
    await this.#service.expectRunning();
  }

  /** No job and no migration is open, and those that were cut short say so. */
  async #expectClosedRows(): Promise<void> {
    const { jobs } = await this.#service.get<{
      jobs: readonly { status: string; outcome: string | null; 'error-code'?: string }[];
    }>('/jobs/history?limit=100');
    for (const job of jobs) {
      expect(job.status).toBe('concluded');
      if (job.outcome === 'failed') expect(job['error-code']).toBe('service_stopped');
    }
    const { migrations } = await this.#service.get<{ migrations: MigrationRow[] }>('/migrations?limit=100');
    for (const { status, error } of migrations) {
      expect(ENDED).toContain(status);
      expect(error?.code).toBe('service_stopped');
    }
  }

  /** The parameters are the old or the new ones, both of the same change. */
  async #expectParameters(work: KilledWork, outcome: Outcome): Promise<void> {
    const now = await this.#service.get<Record<string, number>>('/migrate/parameters');
    expect(now['max-bandwidth']).toBe(now['downtime-limit']);
    expect([OLD, NEW]).toContain(now['max-bandwidth']);
    if (work === 'parameters' && outcome === 'survived') expect(now['max-bandwidth']).toBe(NEW);
    await this.#service.set({ 'max-bandwidth': OLD, 'downtime-limit': OLD });
  }
}
