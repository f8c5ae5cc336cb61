// Opens, reads and changes a damaged image in another process, and reports each wrong result.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { BlockErrorCode } from '../../../src/block/image.ts';
import { type Damage, randomNumbers } from './damage.ts';
import type { Sample } from './draft.ts';
import { type ProbeResult, ProberProcess } from './prober-process.ts';
import { type Check, check } from './tools.ts';

const CPU_MS_MAX = 5_000;
const CODES: Readonly<Record<BlockErrorCode, true>> = {
  image_not_found: true,
  image_not_qcow2: true,
  image_unsupported: true,
  image_corrupt: true,
  image_truncated: true,
  image_too_large: true,
  image_locked: true,
  image_read_only: true,
  image_gone: true,
  image_io_error: true,
  no_space: true,
  permission_denied: true,
  snapshot_not_found: true,
  snapshot_table_full: true,
  out_of_range: true,
};

export type Trials = {
  readonly directory: string;
  readonly sample: Sample;
  /** The maximum memory of the process, in bytes. */
  readonly rssBytesMax: number;
};

/** The results of all trials. */
export type Tally = {
  refusedReading: number;
  refusedWriting: number;
  repaired: number;
  whole: number;
  cpuMsMost: number;
  rssBytesMost: number;
  arrayBufferBytesMost: number;
};

/** Two processes side by side work off all damages. @returns one sentence for each thing that went wrong. */
export async function runTrials(
  trials: Trials,
  damages: readonly Damage[],
): Promise<{ faults: string[]; tally: Tally }> {
  const faults: string[] = [];
  const tally: Tally = {
    refusedReading: 0,
    refusedWriting: 0,
    repaired: 0,
    whole: 0,
    cpuMsMost: 0,
    rssBytesMost: 0,
    arrayBufferBytesMost: 0,
  };
  const pending = damages.entries();
  const worker = async () => {
    let prober = new ProberProcess();
    for (const [index, damage] of pending) {
      const trial = new Trial(trials, prober, join(trials.directory, `${index}.qcow2`));
      try {
        await trial.run(damage, tally);
      } catch (error) {
        trial.faults.push(String(error));
        prober = new ProberProcess();
      }
      faults.push(...trial.faults.map((fault) => `${damage.name}: ${fault}`));
    }
  };
  await Promise.all([worker(), worker()]);
  return { faults, tally };
}

export function expectNoFaults({ faults, tally }: { faults: string[]; tally: Tally }): void {
  expect(faults).toEqual([]);
  expect(tally.refusedWriting + tally.repaired).toBeGreaterThan(0);
}

/** About `count` of them, the same ones each time. */
export function chosenDamages(damages: readonly Damage[], count: number, seed: number): Damage[] {
  const random = randomNumbers(seed);
  const share = count / damages.length;
  return damages.filter(() => random() < share);
}

class Trial {
  readonly faults: string[] = [];
  readonly #trials: Trials;
  readonly #prober: ProberProcess;
  readonly #path: string;

  constructor(trials: Trials, prober: ProberProcess, path: string) {
    this.#trials = trials;
    this.#prober = prober;
    this.#path = path;
  }

  async run(damage: Damage, tally: Tally): Promise<void> {
    const draft = this.#trials.sample.draft.copy();
    damage.spoil(draft, this.#trials.sample.places);
    const before = draft.finish();
    writeFileSync(this.#path, before);

    const reading = await this.#probe({ readOnly: true, change: false }, tally);
    if (!this.#isAsBefore(before)) this.faults.push('reading changed the file');
    const writing = await this.#probe({ readOnly: false, change: false }, tally);
    tally.refusedReading += Number(reading.refused !== null);
    tally.refusedWriting += Number(writing.refused !== null);
    if (damage.opens !== undefined) this.#expectOutcome(damage.opens, writing);
    if (writing.refused !== null) {
      if (!this.#isAsBefore(before)) this.faults.push(`refused with ${writing.refused.code}, and the file has changed`);
      return;
    }
    tally[writing.repaired === null ? 'whole' : 'repaired'] += 1;
    const opened = await this.#compareChecks(before, writing);
    const changed = await this.#probe({ readOnly: false, change: true }, tally);
    if (changed.refused !== null) this.faults.push(`opened once, then refused with ${changed.refused.message}`);
    const after = await check(this.#path);
    if (after.corruptions > opened.corruptions) {
      this.faults.push(`writing made ${after.corruptions} corruptions of ${opened.corruptions}`);
    }
    if (after.leaks > opened.leaks)
      this.faults.push(`writing left ${after.leaks} clusters leaked, before ${opened.leaks}`);
  }

  /** @returns QEMU's figures after the image was opened for writing. */
  async #compareChecks(before: Buffer, writing: ProbeResult): Promise<Check> {
    const after = await check(this.#path);
    if (writing.repaired !== null && after.corruptions + after.leaks + after.checkErrors > 0) {
      this.faults.push(`repaired (${JSON.stringify(writing.repaired)}), and yet QEMU finds ${JSON.stringify(after)}`);
    }
    if (after.corruptions > 0 && !this.#isAsBefore(before)) {
      const original = `${this.#path}.before`;
      writeFileSync(original, before);
      const { corruptions } = await check(original);
      if (after.corruptions > corruptions) this.faults.push(`${corruptions} corruptions became ${after.corruptions}`);
    }
    return after;
  }

  async #probe(how: { readOnly: boolean; change: boolean }, tally: Tally): Promise<ProbeResult> {
    const result = await this.#prober.probe({ path: this.#path, ...how });
    const action = how.readOnly ? 'reading' : how.change ? 'changing' : 'opening for writing';
    if (result.foreign !== null) this.faults.push(`${action} failed with ${result.foreign}`);
    if (result.cpuMs > CPU_MS_MAX) this.faults.push(`${action} took ${result.cpuMs} ms of CPU`);
    if (result.rssBytes > this.#trials.rssBytesMax) this.faults.push(`${action} grew to ${result.rssBytes} bytes`);
    const codes = result.refused === null ? result.errors : [...result.errors, result.refused.code];
    const unknown = codes.find((code) => !(code in CODES));
    if (unknown !== undefined) this.faults.push(`${action} failed with the unknown code ${unknown}`);
    tally.cpuMsMost = Math.max(tally.cpuMsMost, result.cpuMs);
    tally.rssBytesMost = Math.max(tally.rssBytesMost, result.rssBytes);
    tally.arrayBufferBytesMost = Math.max(tally.arrayBufferBytesMost, result.arrayBufferBytes);
    return result;
  }

  #expectOutcome(opens: NonNullable<Damage['opens']>, { refused, repaired }: ProbeResult): void {
    const outcome = refused !== null ? 'refused' : repaired !== null ? 'repaired' : 'whole';
    if (outcome !== opens) this.faults.push(`was ${outcome} (${refused?.message ?? ''}) and not ${opens}`);
  }

  #isAsBefore(before: Buffer): boolean {
    return readFileSync(this.#path).equals(before);
  }
}
