import { DomainError, type ErrorCode, type Violation } from '../errors.ts';

/** Violations that are kept of one request, at most: an answer lists no more, so that it stays small whatever was sent. */
export const VIOLATIONS_MAX = 100;

/** Collects what is wrong with a set of settings, so that all of it is told at once. */
export class Violations {
  readonly #found: { readonly code: ErrorCode; readonly violation: Violation }[] = [];

  get isEmpty(): boolean {
    return this.#found.length === 0;
  }

  add(code: ErrorCode, pointer: string, reason: string): void {
    if (this.#found.length < VIOLATIONS_MAX) this.#found.push({ code, violation: { pointer, reason } });
  }

  /** @throws DomainError with every violation, under the code of the gravest: what is not understood comes first. */
  throwIfAny(): void {
    if (this.isEmpty) return;
    const code = GRAVITY.find((candidate) => this.#found.some((found) => found.code === candidate));
    const violations = this.#found.map(({ violation }) => violation);
    throw new DomainError(code ?? this.#found[0]!.code, violations.map(({ reason }) => reason).join(' '), {
      violations,
    });
  }
}

const GRAVITY: readonly ErrorCode[] = [
  'unknown_member',
  'unknown_capability',
  'wrong_type',
  'value_out_of_range',
  'too_late_to_set',
  'incompatible_parameters',
  'incompatible_capabilities',
];

/** A JSON pointer (RFC 6901) from its steps. */
export function pointerTo(...steps: readonly (string | number)[]): string {
  return steps.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** A value as it may be quoted in an error message: short and on one line. */
export function shown(value: unknown): string {
  const text =
    typeof value === 'string'
      ? JSON.stringify(value.slice(0, SHOWN_CHARACTERS_MAX + 1))
      : typeof value === 'object'
        ? kindOf(value)
        : String(value);
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
}

const SHOWN_CHARACTERS_MAX = 80;

function kindOf(value: object | null): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : 'an object';
}
