import { isRecord, numberOf } from './exact-json.ts';
import type { Job } from './job.ts';

/* What a verify, or a load that verifies, found: in the result of its job. */

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

/** What a verified snapshot was not compared with, or nothing. */
export function verifyRemark({ raw: { result } }: Job): string {
  const hadNone = isRecord(result) && result['had-digests'] === false;
  return hadNone ? ', its structure only, since no digests were kept with it' : '';
}

function figure(value: unknown): string {
  return String(numberOf(value) ?? '?');
}
