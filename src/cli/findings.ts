import type { Job } from './client-job.ts';
import { isRecord, numberOf } from './json-values.ts';
import { sizeText } from './output/plain-text.ts';
import type { Verb } from './service-client.ts';

/* What came of a job beside its outcome: how much it did, and what a verify or a load found. */

/** A sentence for each damaged place: where it lies in the machine, and where in the image file. */
export function damageOf({ raw: { result } }: Job): string[] {
  const damage = isRecord(result) && Array.isArray(result.damage) ? result.damage : [];
  return damage.filter(isRecord).map((place) => {
    const area = typeof place['ram-block'] === 'string' ? `RAM block ${place['ram-block']}` : AREAS[String(place.area)];
    const inFile = numberOf(place['file-offset']);
    const file = inFile === null ? '' : ` (byte ${inFile} of the image file)`;
    return `damaged: node ${place.node}: ${area ?? place.area}: ${figure(place.bytes)} bytes at ${figure(place.offset)}${file}`;
  });
}

const AREAS: Readonly<Record<string, string>> = {
  'vm-state': 'device state',
  disk: 'disk',
  metadata: 'tables of the image',
};

/** Size of what was saved, loaded or checked; null where a size says nothing. */
export function workedBytes(verb: Verb, { doneBytes, raw: { result } }: Job): number | null {
  if (verb === 'delete' || verb === 'compact') return null;
  const figures = isRecord(result) ? result : {};
  return numberOf(figures['vm-state-size']) ?? numberOf(figures['checked-bytes']) ?? doneBytes;
}

/** What a verified snapshot was not compared with, or nothing. */
export function verifyRemark({ raw: { result } }: Job): string {
  const hadNone = isRecord(result) && result['had-digests'] === false;
  return hadNone ? ', its structure only, since no digests were kept with it' : '';
}

/** What became of each image file that was compacted, or nothing. */
export function compactionRemark({ raw: { type, result } }: Job): string {
  if (type !== 'snapshot-compact' || !isRecord(result) || !Array.isArray(result.nodes)) return '';
  return result.nodes
    .filter(isRecord)
    .map(({ name, ...sizes }) => {
      const from = (what: string) => `${size(sizes[`${what}-before`])} to ${size(sizes[what])}`;
      return `\n  ${name}: file ${from('file-size')}, on disk ${from('disk-usage')}`;
    })
    .join('');
}

function size(value: unknown): string {
  const bytes = numberOf(value);
  return bytes === null ? '?' : sizeText(bytes);
}

function figure(value: unknown): string {
  return String(numberOf(value) ?? '?');
}
