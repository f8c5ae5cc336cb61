import { expect, it } from 'vitest';
import { parameterHint, parameterValue, sizeHint } from '../../src/cli/parameter-text.ts';
import { parameterDeclaration } from '../../src/domain/settings/declared-settings.ts';
import { PARAMETER_NAMES } from '../../src/domain/settings/schema-order.ts';

// The client loads nothing of the service, so it has the units of the parameters a second time.

const UNITS: Readonly<Record<string, string>> = { ms: 'milliseconds', '%': 'percent', 'MB/s': 'MB/s' };

it('the client accepts a size for each parameter in bytes, and names the unit of every other integer', () => {
  for (const name of PARAMETER_NAMES) {
    const declaration = parameterDeclaration(name);
    if (!('unit' in declaration)) continue;
    const { unit } = declaration;
    const hint = parameterHint(name, 'much', declaration.default);
    const text = JSON.stringify(parameterValue(name, '2k', declaration.default));
    if (unit === 'bytes' || unit === 'bytes/s') {
      expect([hint, text], name).toEqual([sizeHint(name), '2048']);
    } else {
      const ofUnit = unit === null ? 'without a unit' : `of ${UNITS[unit]}, without a unit`;
      expect([hint, text], name).toEqual([`${name} is a whole number ${ofUnit}`, '"2k"']);
    }
  }
});
