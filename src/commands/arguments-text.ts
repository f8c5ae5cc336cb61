import { JsonFraction, stringifyJson } from '../text/json.ts';

/* The arguments of a command as the audit trail keeps them: exact JSON text, cut, and without what is secret. */

/** Characters that are kept of them. */
export const ARGUMENTS_LENGTH_MAX = 2048;
const CUT = '…';
const HIDDEN = '(not kept)';
/** No command of today takes a secret; one whose member is named like this will not be the first to show it. */
const SECRET = /password|passphrase|secret|token|private-key|credential/i;

/** Text of arguments of any shape. */
export function argumentsText(given: unknown): string {
  const text = stringifyJson(given === undefined ? {} : withoutSecrets(given));
  return text.length > ARGUMENTS_LENGTH_MAX ? `${text.slice(0, ARGUMENTS_LENGTH_MAX - CUT.length)}${CUT}` : text;
}

function withoutSecrets(value: unknown): unknown {
  if (value instanceof JsonFraction) return value.value;
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, SECRET.test(name) ? HIDDEN : withoutSecrets(member)]),
  );
}
