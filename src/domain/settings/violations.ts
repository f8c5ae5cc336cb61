import { DomainError, type ErrorCode, type Violation } from '../errors.ts';

/** Most violations in one error. A client cannot make an answer larger by sending more of them. */
export const VIOLATIONS_MAX = 100;

/** Collects the violations of one request, so that one error reports all of them. */
export class Violations {
  readonly #found: { readonly code: ErrorCode; readonly violation: Violation }[] = [];

  get isEmpty(): boolean {
    return this.#found.length === 0;
  }

  add(code: ErrorCode, pointer: string, reason: string): void {
    if (this.#found.length < VIOLATIONS_MAX) this.#found.push({ code, violation: { pointer, reason } });
  }

  /** @throws DomainError with every violation. Its code is that of the first violation by the order of PRECEDENCE. */
  throwIfAny(): void {
    if (this.isEmpty) return;
    const code = PRECEDENCE.find((candidate) => this.#found.some((found) => found.code === candidate));
    const violations = this.#found.map(({ violation }) => violation);
    throw new DomainError(code ?? this.#found[0]!.code, violations.map(({ reason }) => reason).join(' '), {
      violations,
    });
  }
}

/** Codes for names and types that are not understood come before codes for values and combinations. */
const PRECEDENCE: readonly ErrorCode[] = [
  'unknown_member',
  'unknown_capability',
  'wrong_type',
  'value_out_of_range',
  'too_late_to_set',
  'incompatible_parameters',
  'incompatible_capabilities',
];

/** The JSON pointer (RFC 6901) made of these member names and indexes. */
export function pointerTo(...steps: readonly (string | number)[]): string {
  return steps.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** A value as error messages quote it: at most 80 characters, on one line. */
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
