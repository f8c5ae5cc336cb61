import { seconds } from './progress.ts';

/** The members of `GET /machine` that tell how the guest fares. */
export type Guest = {
  readonly ticks: number;
  readonly 'pages-checked': number;
  readonly panic: { readonly kind: string; readonly detail: string } | null;
};

/** What was seen when the migration had ended. Times in milliseconds. */
export type Facts = {
  readonly status: string;
  readonly error: string | null;
  readonly totalMs: number;
  readonly downtimeMs: number;
  readonly downtimeLimitMs: number;
  readonly passes: number;
  readonly ramPages: number;
  /** What each service's `GET /status` says. */
  readonly sourceState: string;
  readonly targetState: string;
  /** At the source, where the guest stands still. */
  readonly before: Guest;
  /** At the target, some time later. */
  readonly after: Guest;
  /** Numbers of the ticks that the console shows at the target, in its order. */
  readonly consoleTicks: readonly number[];
};

type Finding = { readonly isWell: boolean; readonly text: string };

/** What happened, in words, a line for each thing that could have gone wrong. */
export function conclude(facts: Facts): { readonly lines: readonly string[]; readonly isWell: boolean } {
  if (facts.status !== 'completed') {
    const why = facts.error ?? 'no reason given';
    return { lines: [`✗ the migration ended ${facts.status}: ${why}`], isWell: false };
  }
  const findings = [...passage(facts), ...guestAfterwards(facts)];
  const isWell = findings.every((finding) => finding.isWell);
  const lines = findings.map((finding) => `${finding.isWell ? '✓' : '✗'} ${finding.text}`);
  return { lines: [...lines, '', isWell ? 'All is well.' : 'Not all is well: see the lines marked ✗.'], isWell };
}

function passage({ totalMs, passes, downtimeMs, downtimeLimitMs, sourceState, targetState }: Facts): Finding[] {
  return [
    { isWell: true, text: `the migration completed in ${seconds(totalMs)}, in ${passes} passes` },
    {
      isWell: downtimeMs <= downtimeLimitMs,
      text: `the guest stood still for ${downtimeMs} ms; downtime-limit is ${downtimeLimitMs} ms`,
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
        `it left at tick ${before.ticks} and has come to tick ${after.ticks}; its console ` +
        (isConsecutive ? 'shows no gap' : 'shows a gap'),
    },
    {
      isWell: checked >= ramPages,
      text: `it has checked ${checked} pages since it arrived; its RAM has ${ramPages}`,
    },
    {
      isWell: panic === null,
      text:
        panic === null ? 'no page was lost, torn, stale or misplaced' : `it panicked: ${panic.kind}: ${panic.detail}`,
    },
  ];
}
