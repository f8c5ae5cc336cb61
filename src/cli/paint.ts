import type { World } from './world.ts';

/* Colours, where there is someone to see them. */

const CODES = { dim: 2, red: 31, yellow: 33, cyan: 36 } as const;

/** A text in a colour, or as it is. */
export type Paint = (colour: keyof typeof CODES, text: string) => string;

/** Paints if results go to a terminal that can, and nobody said NO_COLOR. */
export function createPaint(world: World): Paint {
  const { noColor, terminal } = world.environment;
  const isColoured = world.outColumns() !== null && terminal !== 'dumb' && (noColor ?? '') === '';
  return (colour, text) => (isColoured && text !== '' ? `\u001b[${CODES[colour]}m${text}\u001b[0m` : text);
}
