import type { BenchContext, RowResult } from './bench.ts';
import type { Run } from './service/vmferry-pair.ts';
import { median } from './statistics.ts';

/** The same job on both sides, and the required result. */
export type PairedJob = {
  readonly name: string;
  readonly job: string;
  readonly ramBytes: number;
  /** Required ratio of the speed of vmferry to the speed of QEMU. */
  readonly ratioMin: number;
  /** Share of RAM that must have been sent as whole pages, or null. Guards against measuring zero pages. */
  readonly normalPartMin: number | null;
  readonly notes: readonly string[];
  vmferry(): Promise<Run>;
  qemu(): Promise<Run>;
};

/** Runs both sides alternately, each of them first in half of the runs, and compares the medians. */
export async function measurePaired(job: PairedJob, context: BenchContext): Promise<RowResult> {
  const ours: Run[] = [];
  const theirs: Run[] = [];
  const runOurs = async () => ours.push(checked(job, 'vmferry', await job.vmferry()));
  const runTheirs = async () => context.withQemu && theirs.push(checked(job, 'QEMU', await job.qemu()));
  for (let index = 0; index < context.runs; index += 1) {
    for (const run of index % 2 === 0 ? [runOurs, runTheirs] : [runTheirs, runOurs]) await run();
    const newest = [`vmferry ${timesOf(ours.at(-1)!)}`];
    if (theirs.length > 0) newest.push(`QEMU ${timesOf(theirs.at(-1)!)}`);
    context.log(`  run ${index + 1}: ${newest.join(', ')}`);
  }
  const oursMs = median(ours.map((run) => run.transferMs));
  const theirsMs = theirs.length === 0 ? null : median(theirs.map((run) => run.transferMs));
  const ratio = theirsMs === null ? null : theirsMs / oursMs;
  return {
    name: job.name,
    job: job.job,
    qemu: theirsMs === null ? null : speed(job.ramBytes, theirsMs),
    vmferry: speed(job.ramBytes, oursMs),
    ratio,
    target: `≥ ${job.ratioMin.toFixed(1)} × QEMU`,
    isMet: ratio === null ? null : ratio >= job.ratioMin,
    samples: { ...samplesOf('vmferry', ours), ...samplesOf('qemu', theirs) },
    notes: [...job.notes, wallNote(ours, theirs)],
  };
}

function checked({ ramBytes, normalPartMin }: PairedJob, who: string, run: Run): Run {
  const part = (run.normalPages * 4096) / ramBytes;
  if (normalPartMin !== null && part < normalPartMin) {
    throw new Error(`${who} sent only ${(part * 100).toFixed(1)} % of RAM as whole pages, so its RAM was not filled.`);
  }
  return run;
}

/** The figure excludes the setup and the report at the end. This note has the time that a user waits. */
function wallNote(ours: readonly Run[], theirs: readonly Run[]): string {
  const wall = (runs: readonly Run[]): string => `${median(runs.map((run) => run.wallMs)).toFixed(0)} ms`;
  const beside = theirs.length === 0 ? '' : `, QEMU ${wall(theirs)}`;
  return `From the command to the end of its output: vmferry ${wall(ours)}${beside}.`;
}

function timesOf({ transferMs, wallMs }: Run): string {
  return `${transferMs} ms (wall ${wallMs.toFixed(0)} ms)`;
}

function samplesOf(who: string, runs: readonly Run[]): Record<string, number[]> {
  return {
    [`${who}-transfer-ms`]: runs.map((run) => run.transferMs),
    [`${who}-wall-ms`]: runs.map((run) => Math.round(run.wallMs * 10) / 10),
    [`${who}-downtime-ms`]: runs.map((run) => run.downtimeMs),
  };
}

function speed(bytes: number, milliseconds: number): string {
  return `${(bytes / milliseconds / 1e6).toFixed(2)} GB/s`;
}
