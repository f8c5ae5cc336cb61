// A sample of the recorded answers of QEMU 10.0.2 equals the answers of the installed QEMU. test/soak/qemu-facts
// checks all of them.

import { expect, it } from 'vitest';
import { askTogether } from '../../scripts/ask-qemu/capabilities.ts';
import { askJobs } from '../../scripts/ask-qemu/jobs.ts';
import { askValues, freshParameters, sequenceFact } from '../../scripts/ask-qemu/parameters.ts';
import { type CapabilityFacts, independentOfHost, keptFacts, type ParameterFacts } from '../helpers/qemu/kept-facts.ts';
import { describeWithQemu, startQemu } from '../helpers/qemu/qemu.ts';

/** The sampled pairs and triples of capabilities, values of parameters, and sequences of settings. */
const SAMPLED_EVERY = { capabilities: 7, values: 11, sequences: 5 } as const;

function sampleOf<Row>(rows: readonly Row[], every: number): Row[] {
  return rows.filter((_, index) => index % every === 0);
}

describeWithQemu('the recorded answers of QEMU 10.0', (binary) => {
  it('are the same for capabilities', async () => {
    const { capabilities, source } = keptFacts<CapabilityFacts>('capability-pairs.json');
    const together = sampleOf([...source.pairs, ...source.triples], SAMPLED_EVERY.capabilities);
    const expected = [...source.singles, ...together];
    const asked = await askTogether(expected.map(({ on }) => on));

    expect(asked.capabilities).toEqual(capabilities);
    expect(independentOfHost(asked.facts)).toEqual(independentOfHost(expected));
  });

  it('are the same for parameters', async () => {
    const { defaults, values, sequences } = keptFacts<ParameterFacts>('parameter-bounds.json');
    const expected = sampleOf(values, SAMPLED_EVERY.values);

    expect(await freshParameters()).toEqual(defaults);
    expect(await askValues(expected)).toEqual(expected);
    for (const fact of sampleOf(sequences, SAMPLED_EVERY.sequences)) {
      expect(await sequenceFact(fact.sequence)).toEqual(fact);
    }
  });

  it('are the same for jobs', async () => {
    const asked = await askJobs(binary);
    const expected = keptFacts<{ qemuVersion: string }>('jobs.json');

    expect({ ...asked, qemuVersion: '' }).toEqual({ ...expected, qemuVersion: '' });
  });

  it('were recorded from the installed version or an older one', async () => {
    const qemu = await startQemu({ paused: true, ramMebibytes: 2 });
    const version = (await qemu.qmp.query('query-version')).qemu as { major: number };

    expect(version.major).toBeGreaterThanOrEqual(10);
  });
});
