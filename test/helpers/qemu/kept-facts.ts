// The recorded answers of QEMU 10.0 in test/fixtures/qemu.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CapabilityFact } from '../../../scripts/ask-qemu/capabilities.ts';
import type { ParameterFact } from '../../../scripts/ask-qemu/parameters.ts';

const DIRECTORY = join(import.meta.dirname, '..', '..', 'fixtures', 'qemu');
/** Accepted or not by what the host's kernel allows (userfaultfd), which is no fact about QEMU. */
const HOST_DEPENDENT = ['background-snapshot', 'postcopy-ram', 'postcopy-preempt', 'postcopy-blocktime'];

export type CapabilityFacts = {
  readonly capabilities: readonly string[];
  readonly source: Readonly<Record<'singles' | 'pairs' | 'triples', readonly CapabilityFact[]>>;
};

export type ParameterFacts = {
  readonly qemuVersion: string;
  readonly defaults: Readonly<Record<string, unknown>>;
  readonly values: readonly ParameterFact[];
  readonly sequences: readonly { readonly sequence: readonly string[] }[];
};

export function keptFacts<Facts>(name: string): Facts {
  return JSON.parse(readFileSync(join(DIRECTORY, name), 'utf8')) as Facts;
}

export function independentOfHost(rows: readonly CapabilityFact[]): CapabilityFact[] {
  return rows.filter((row) => !row.on.some((name) => HOST_DEPENDENT.includes(name)));
}
