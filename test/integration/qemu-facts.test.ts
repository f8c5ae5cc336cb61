/** The kept answers of QEMU 10.0.2 are still what the installed one says. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { askCapabilities } from '../../scripts/ask-qemu/capabilities.ts';
import { askJobs } from '../../scripts/ask-qemu/jobs.ts';
import { askParameters } from '../../scripts/ask-qemu/parameters.ts';
import { describeWithQemu, startQemu } from '../helpers/qemu/qemu.ts';

const DIRECTORY = join(import.meta.dirname, '..', 'fixtures', 'qemu');
/** Accepted or not by what the host's kernel allows (userfaultfd), which is no fact about QEMU. */
const HOST_DEPENDENT = ['background-snapshot', 'postcopy-ram', 'postcopy-preempt', 'postcopy-blocktime'];

type Row = { readonly on: readonly string[] };
type CapabilityFacts = { capabilities: string[]; source: { singles: Row[]; pairs: Row[]; triples: Row[] } };

function kept(name: string): unknown {
  return JSON.parse(readFileSync(join(DIRECTORY, name), 'utf8'));
}

function independentOfHost(rows: readonly Row[]): Row[] {
  return rows.filter((row) => !row.on.some((name) => HOST_DEPENDENT.includes(name)));
}

describeWithQemu('the answers kept from QEMU 10.0', (binary) => {
  it('are the same for capabilities', async () => {
    const asked = (await askCapabilities()) as CapabilityFacts;
    const expected = kept('capability-pairs.json') as CapabilityFacts;

    expect(asked.capabilities).toEqual(expected.capabilities);
    expect(asked.source.pairs.length).toBe(expected.source.pairs.length);
    for (const group of ['singles', 'pairs', 'triples'] as const) {
      expect(independentOfHost(asked.source[group])).toEqual(independentOfHost(expected.source[group]));
    }
  }, 60_000);

  it('are the same for parameters', async () => {
    const asked = (await askParameters()) as { qemuVersion: string };
    const expected = kept('parameter-bounds.json') as { qemuVersion: string };

    expect({ ...asked, qemuVersion: '' }).toEqual({ ...expected, qemuVersion: '' });
  }, 60_000);

  it('are the same for jobs', async () => {
    const asked = await askJobs(binary);
    const expected = kept('jobs.json') as { qemuVersion: string };

    expect({ ...asked, qemuVersion: '' }).toEqual({ ...expected, qemuVersion: '' });
  }, 60_000);

  it('were given by the version that is installed, or by an older one', async () => {
    const qemu = await startQemu({ paused: true, ramMebibytes: 2 });
    const version = (await qemu.qmp.query('query-version')).qemu as { major: number };

    expect(version.major).toBeGreaterThanOrEqual(10);
  });
});
