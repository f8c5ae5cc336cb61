// Every recorded answer of QEMU 10.0.2 about capabilities and parameters equals the answer of the installed QEMU.

import { expect, it } from 'vitest';
import { askCapabilities } from '../../scripts/ask-qemu/capabilities.ts';
import { askParameters } from '../../scripts/ask-qemu/parameters.ts';
import { type CapabilityFacts, independentOfHost, keptFacts, type ParameterFacts } from '../helpers/qemu/kept-facts.ts';
import { describeWithQemu } from '../helpers/qemu/qemu.ts';

describeWithQemu('all recorded answers of QEMU 10.0', () => {
  it('are the same for capabilities', async () => {
    const asked = (await askCapabilities()) as CapabilityFacts;
    const expected = keptFacts<CapabilityFacts>('capability-pairs.json');

    expect(asked.capabilities).toEqual(expected.capabilities);
    expect(asked.source.pairs.length).toBe(expected.source.pairs.length);
    for (const group of ['singles', 'pairs', 'triples'] as const) {
      expect(independentOfHost(asked.source[group])).toEqual(independentOfHost(expected.source[group]));
    }
  });

  it('are the same for parameters', async () => {
    const asked = (await askParameters()) as ParameterFacts;
    const expected = keptFacts<ParameterFacts>('parameter-bounds.json');

    expect({ ...asked, qemuVersion: '' }).toEqual({ ...expected, qemuVersion: '' });
  });
});
