// Tests that need something of the machine they run on, and what happens where it is missing.

import { describe } from 'vitest';

export type Need = {
  readonly name: string;
  /** What is missing here; null: nothing. */
  readonly missing: string | null;
  /** It may be missing in CI too. */
  readonly optional?: boolean;
};

/**
 * A describe that is skipped with a notice where something is missing.
 * @throws Error in CI instead, so that nothing goes untested there without anybody knowing.
 */
export function describeNeeding({ name, missing, optional = false }: Need, body: () => void): void {
  if (missing === null) {
    describe(name, body);
    return;
  }
  const notice = `${missing}: "${name}" cannot run.`;
  if (process.env.CI !== undefined && process.env.CI !== '' && !optional) throw new Error(notice);
  process.stderr.write(`NOTICE: skipped: ${notice}\n`);
  describe.skip(name, body);
}
