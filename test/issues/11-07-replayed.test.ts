// The answer to a repeated request has the header Idempotency-Replayed. The command line ignored it, so a second run
// of a CI step seemed to have started new work.

import { expect, test } from 'vitest';
import { listeningService, runCommand } from '../helpers/client-here.ts';
import { shared } from '../helpers/shared.ts';

const service = shared(() => listeningService(['--ram', '1M', '--workload', 'rate=0', '--vcpus', '1']));

type Line = { readonly type: string; readonly [member: string]: unknown };

async function run(words: readonly string[]) {
  const { status, output, errors } = await runCommand(service(), words);
  expect(status, errors).toBe(0);
  const lines = words.includes('--json')
    ? output
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Line)
    : [];
  return { output, errors, lines };
}

const SAID = /an earlier request with the same key started (job|migration) \S+; this request started nothing/;

test.each([
  [['snapshot', 'save', 'warm', '--idempotency-key', 'key-1']],
  [['snapshot', 'verify', 'warm', '--no-wait', '--idempotency-key', 'key-2']],
  [['migrate', 'file:state', '--wait', '--idempotency-key', 'key-3']],
])('a command reports that its request was a repetition: %j', async (words) => {
  const first = await run([...words, '--json']);
  expect(first.lines.at(-1)).toMatchObject({ type: 'result', replayed: false });
  expect(first.output + first.errors).not.toMatch(SAID);
  const again = await run([...words, '--json']);
  expect(again.lines.at(-1)).toMatchObject({ type: 'result', replayed: true });
  expect(again.lines.find(({ type }) => type === 'note')?.detail).toMatch(SAID);
  const { output, errors } = await run(words);
  expect(errors).toMatch(SAID);
  expect(output).not.toMatch(SAID);
  const quiet = await run([...words, '--quiet']);
  expect([quiet.errors, quiet.output]).not.toContainEqual(expect.stringMatching(SAID));
});
