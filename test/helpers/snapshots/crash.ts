// A service that is killed during its work on snapshots, and the checks after it starts again on the same images.

import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { temporaryDirectory } from '../app.ts';
import { type Spawned, spawnService, startProcess } from '../guest-service.ts';
import { randomNumbers } from '../qcow2/damage.ts';
import { checkImage, createImage, expectClean, qemuTool, tagsOf } from './qemu-image.ts';
import { expectCleanWhileQuiet, Snapshots, type Work } from './snapshot-client.ts';

const GUEST = ['--ram', '16M', '--workload', 'rate=50M,span=8M,pattern=hot,fill=random'];
const KEPT = ['kept-1', 'kept-2'];
/** The position of the generation in a disk. The guest's own disk has none. */
const GENERATION_OFFSET = 8 * 2 ** 20;
/** The latest kill, relative to the usual duration of the work. */
const LATEST_PART = 1.2;
/** In each N-th round the next start is also killed, during its recovery. */
const KILLED_STARTS_EVERY = 3;
const START_KILL_MS_MAX = 500;
/** The kept snapshot is verified after each kill, and loaded after every N-th. */
const LOADED_EVERY = 2;

type Killed = Extract<Work, 'save' | 'load' | 'delete'>;
const WORKS: readonly Killed[] = ['save', 'load', 'delete'];

/** The results of the rounds: `survived` counts rounds whose work ended before the kill. */
export type CrashCounts = Record<Killed, { killed: number; survived: number }>;

/**
 * Kills a service `rounds` times in the middle of its work on snapshots of its guest and `extraNodes` more disks. The same
 * seed draws the same moments, as parts of the time that the work usually takes here.
 */
export async function crashSnapshots(rounds: number, extraNodes: number, seed: number): Promise<CrashCounts> {
  const bed = await CrashBed.make(extraNodes, seed);
  for (let round = 0; round < rounds; round += 1) await bed.round(round);
  await bed.end();
  return bed.counts;
}

class CrashBed {
  readonly counts: CrashCounts = {
    save: { killed: 0, survived: 0 },
    load: { killed: 0, survived: 0 },
    delete: { killed: 0, survived: 0 },
  };
  readonly #data = temporaryDirectory();
  readonly #nodes: readonly string[];
  readonly #seed: number;
  readonly #random: () => number;
  /** The usual duration of the work, in milliseconds. */
  readonly #usualMs: Record<Killed, number> = { save: 0, load: 0, delete: 0 };
  #service!: Spawned;
  #snapshots!: Snapshots;

  private constructor(extraNodes: number, seed: number) {
    this.#seed = seed;
    this.#random = randomNumbers(seed);
    this.#nodes = Array.from({ length: 1 + extraNodes }, (_, index) => `disk${index}`);
  }

  /** With two snapshots to keep, between which the other disks differ. */
  static async make(extraNodes: number, seed: number): Promise<CrashBed> {
    const bed = new CrashBed(extraNodes, seed);
    for (const path of bed.#images) createImage(path);
    for (const [index, tag] of KEPT.entries()) {
      bed.#setGenerations(index + 1);
      await bed.#start();
      await bed.#service.expectRunning();
      await bed.#snapshots.does('save', tag, bed.#all);
      if (index === 0) await bed.#service.end('SIGTERM');
    }
    // The first run takes longer, so the second one is the measure for the kill.
    for (let time = 0; time < 2; time += 1) {
      bed.#usualMs.load = await timed(() => bed.#snapshots.does('load', KEPT[0]!, bed.#all));
      bed.#usualMs.save = await timed(() => bed.#snapshots.does('save', 'scratch', bed.#all));
      bed.#usualMs.delete = await timed(() => bed.#snapshots.does('delete', 'scratch', bed.#devices));
    }
    return bed;
  }

  async round(round: number): Promise<void> {
    const work = WORKS[round % WORKS.length]!;
    const delayMs = this.#random() * this.#usualMs[work] * LATEST_PART;
    try {
      const tag = work === 'load' ? KEPT[Math.floor(round / WORKS.length) % KEPT.length]! : 'scratch';
      if (work === 'delete') await this.#snapshots.does('save', tag, this.#all);
      const id = await this.#snapshots.start(work, tag, work === 'delete' ? this.#devices : this.#all);
      await moment(delayMs);
      await this.#service.end('SIGKILL');
      for (const path of this.#images) expect(checkImage(path), path).toMatchObject({ corruptions: 0, checkErrors: 0 });
      if (round % KILLED_STARTS_EVERY === KILLED_STARTS_EVERY - 1) await this.#killAStart();
      await this.#start();
      await this.#expectWhole(id, work, tag);
      await this.#expectKept(round);
    } catch (cause) {
      const when = `seed ${this.#seed}, round ${round}: killed ${delayMs.toFixed(1)} ms into ${work} (usually ${this.#usualMs[work].toFixed(0)} ms)`;
      throw new Error(`${when}: ${(cause as Error).message}`, { cause });
    }
  }

  async end(): Promise<void> {
    expect(await this.#service.end('SIGTERM')).toBe(0);
    expectClean(...this.#images);
    for (const path of this.#images) expect(tagsOf(path)).toEqual(KEPT);
  }

  get #images(): string[] {
    return this.#nodes.map((node) => join(this.#data, `${node}.qcow2`));
  }

  get #devices(): { devices: readonly string[] } {
    return { devices: this.#nodes };
  }

  get #all(): { vmstate: string; devices: readonly string[] } {
    return { vmstate: 'disk0', devices: this.#nodes };
  }

  get #flags(): string[] {
    return [...GUEST, ...this.#nodes.flatMap((node, index) => ['--blockdev', `${node}=${this.#images[index]}`])];
  }

  async #start(): Promise<void> {
    this.#service = await spawnService(this.#data, this.#flags);
    this.#snapshots = new Snapshots(this.#service);
  }

  /** A start that is killed during the start or directly after it. */
  async #killAStart(): Promise<void> {
    const starting = startProcess(this.#data, this.#flags);
    const exited = once(starting, 'exit');
    await moment(this.#random() * START_KILL_MS_MAX);
    starting.kill('SIGKILL');
    await exited;
  }

  async #expectWhole(id: string, work: Killed, tag: string): Promise<void> {
    await expectCleanWhileQuiet(this.#service, ...this.#images);
    const job = await this.#snapshots.job(id);
    expect(job.status).toBe('concluded');
    if (job.error !== undefined) expect(job.error).toMatch(/stopped/);
    this.counts[work][job.error === undefined ? 'survived' : 'killed'] += 1;
    const having = this.#images.filter((path) => tagsOf(path).includes(tag)).length;
    const all = this.#nodes.length;
    if (work === 'save') expect(having).toBe(job.error === undefined ? all : 0);
    else if (work === 'load') expect(having).toBe(all);
    else expect(job.error === undefined ? [0] : [0, all]).toContain(having);
    if (work !== 'load' && having > 0) await this.#snapshots.does('delete', tag, this.#devices);
    expect(new Set(this.#generations()).size, 'disks of one generation').toBeLessThanOrEqual(1);
  }

  /** The earlier snapshots exist, are complete, and can be loaded. */
  async #expectKept(round: number): Promise<void> {
    for (const path of this.#images) expect(tagsOf(path)).toEqual(KEPT);
    for (const tag of KEPT) await this.#snapshots.does('verify', tag, this.#all);
    await this.#service.expectRunning();
    if (round % LOADED_EVERY !== 0) return;
    const index = (round / LOADED_EVERY) % KEPT.length;
    await this.#snapshots.does('load', KEPT[index]!, this.#all);
    for (const generation of this.#generations()) expect(generation).toBe(index + 1);
    await this.#service.expectRunning();
  }

  #setGenerations(generation: number): void {
    for (const path of this.#images.slice(1)) {
      qemuTool('qemu-io', '-f', 'qcow2', '-c', `write -P ${generation} ${GENERATION_OFFSET} 64k`, path);
    }
  }

  #generations(): number[] {
    return this.#images.slice(1).map((path) => {
      const shown = qemuTool('qemu-io', '-r', '-U', '-f', 'qcow2', '-c', `read -v ${GENERATION_OFFSET} 16`, path);
      return Number.parseInt(/^[0-9a-f]{8}: {2}([0-9a-f]{2})/m.exec(shown)?.[1] ?? '', 16);
    });
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

function moment(milliseconds: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, milliseconds);
  onTestFinished(() => clearTimeout(timer));
  return promise;
}
