// Tests with requirements on the machine, and their behaviour if a requirement is missing.

import { describe } from 'vitest';

export type Need = {
  readonly name: string;
  /** The missing requirement; null if there is none. */
  readonly missing: string | null;
  /** True if it may also be missing in CI. */
  readonly optional?: boolean;
};

/**
 * A describe that is skipped with a notice if its requirement is missing.
 * @throws Error in CI instead, so that no test is silently skipped there.
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
