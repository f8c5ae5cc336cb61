import { seconds } from './progress.ts';

/** The members of `GET /machine` that the demo compares before and after the migration. */
export type Guest = {
  readonly ticks: number;
  readonly 'pages-checked': number;
  readonly panic: { readonly kind: string; readonly detail: string } | null;
};

/** The state of both services after the migration. Times in milliseconds. */
export type Facts = {
  readonly status: string;
  readonly error: string | null;
  readonly totalMs: number;
  readonly downtimeMs: number;
  readonly downtimeLimitMs: number;
  readonly passes: number;
  readonly ramPages: number;
  /** Run states of the services, from `GET /status`. */
  readonly sourceState: string;
  readonly targetState: string;
  /** The guest at the source, where it is stopped. */
  readonly before: Guest;
  /** The guest at the target, some time later. */
  readonly after: Guest;
  /** Numbers of the ticks on the console of the target, in its order. */
  readonly consoleTicks: readonly number[];
};

type Finding = { readonly isWell: boolean; readonly text: string };

/** The result as text, one line for each check. */
export function conclude(facts: Facts): { readonly lines: readonly string[]; readonly isWell: boolean } {
  if (facts.status !== 'completed') {
    const why = facts.error ?? 'no error is given';
    return { lines: [`✗ the migration ended ${facts.status}: ${why}`], isWell: false };
  }
  const findings = [...passage(facts), ...guestAfterwards(facts)];
  const isWell = findings.every((finding) => finding.isWell);
  const lines = findings.map((finding) => `${finding.isWell ? '✓' : '✗'} ${finding.text}`);
  return {
    lines: [...lines, '', isWell ? 'Everything is correct.' : 'Not everything is correct: see the lines with ✗.'],
    isWell,
  };
}

function passage({ totalMs, passes, downtimeMs, downtimeLimitMs, sourceState, targetState }: Facts): Finding[] {
  return [
    { isWell: true, text: `the migration completed in ${seconds(totalMs)}, in ${passes} passes` },
    {
      isWell: downtimeMs <= downtimeLimitMs,
      text: `the guest was stopped for ${downtimeMs} ms; downtime-limit is ${downtimeLimitMs} ms`,
    },
    {
      isWell: sourceState === 'postmigrate' && targetState === 'running',
      text: `the source is ${sourceState}, the target is ${targetState}`,
    },
  ];
}

function guestAfterwards({ before, after, consoleTicks, ramPages }: Facts): Finding[] {
  const isConsecutive = consoleTicks.every((tick, index) => index === 0 || tick === (consoleTicks[index - 1] ?? 0) + 1);
  const crosses = consoleTicks.includes(before.ticks) && (consoleTicks.at(-1) ?? 0) > before.ticks;
  const checked = after['pages-checked'] - before['pages-checked'];
  const panic = before.panic ?? after.panic;
  return [
    {
      isWell: after.ticks > before.ticks && isConsecutive && crosses,
      text:
        `it left the source at tick ${before.ticks} and has reached tick ${after.ticks}; its console ` +
        (isConsecutive ? 'shows no gap' : 'shows a gap'),
    },
    {
      isWell: checked >= ramPages,
      text: `it has checked ${checked} pages at the target; its RAM has ${ramPages}`,
    },
    {
      isWell: panic === null,
      text:
        panic === null ? 'no page was lost, torn, stale or misplaced' : `it panicked: ${panic.kind}: ${panic.detail}`,
    },
  ];
}
