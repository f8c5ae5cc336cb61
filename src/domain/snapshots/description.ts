import { DomainError } from '../errors.ts';

/** Control characters, and the line breaks of Unicode: what is kept is shown in tables, logs and terminals, on one line. */
const UNSUITABLE = /[\p{Cc}\p{Zl}\p{Zp}]/u;

/** @throws DomainError if a snapshot cannot have this description. Its length is the schema's to bound. */
export function checkDescription(description: string): void {
  const reason = faultOf(description);
  if (reason === null) return;
  const violations = [{ pointer: '/description', reason: `description ${reason}` }];
  throw new DomainError('value_out_of_range', `The description ${reason}.`, { violations });
}

function faultOf(description: string): string | null {
  if (!description.isWellFormed()) return 'is not Unicode text: half of a surrogate pair is missing';
  const found = UNSUITABLE.exec(description)?.[0].codePointAt(0);
  if (found === undefined) return null;
  return `has a control character or line break, U+${found.toString(16).toUpperCase().padStart(4, '0')}; it is one line`;
}
