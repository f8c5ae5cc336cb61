import { Type } from 'typebox';
import { describe, expect, test } from 'vitest';
import { refuseFindings } from '../../src/commands/findings.ts';
import { MigrateArguments } from '../../src/commands/schemas/migrate.ts';
import { MigrateSetParameters } from '../../src/commands/schemas/settings.ts';
import { type JsonSchema, validate } from '../../src/commands/validate.ts';
import { VIOLATIONS_MAX } from '../../src/domain/settings/violations.ts';
import { parseJson } from '../../src/text/json.ts';

const findings = (schema: unknown, text: string) =>
  validate(schema as JsonSchema, parseJson(text)).map(({ pointer, code }) => `${pointer} ${code}`);

describe('validate', () => {
  test('all violations are reported together, each with its pointer', () => {
    const text = '{"max-bandwith":1,"downtime-limit":"long","multifd-channels":1.0,"cpu-throttle-tailslow":1,"mode":7}';
    expect(findings(MigrateSetParameters, text)).toEqual([
      '/max-bandwith unknown_member',
      '/downtime-limit wrong_type',
      '/multifd-channels wrong_type',
      '/cpu-throttle-tailslow wrong_type',
      '/mode wrong_type',
    ]);
  });

  test.each([
    ['18446744073709551615', []],
    ['18446744073709551616', ['/max-bandwidth value_out_of_range']],
    ['9007199254740993', []],
    ['-9223372036854775808', []],
    ['-9223372036854775809', ['/max-bandwidth value_out_of_range']],
    ['1e3', ['/max-bandwidth wrong_type']],
    ['null', ['/max-bandwidth wrong_type']],
    ['[]', ['/max-bandwidth wrong_type']],
  ])('an integer given as %s', (literal, expected) => {
    expect(findings(MigrateSetParameters, `{"max-bandwidth":${literal}}`)).toEqual(expected);
  });

  test.each([
    ['{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"inet","host":"h","port":"1"}}]}', []],
    ['{"channels":[{"channel-type":"main","addr":{"transport":"file","filename":"f","offset":0}}]}', []],
    [
      '{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"inet","host":"h"}}]}',
      ['/channels/0/addr/port missing_member'],
    ],
    [
      '{"channels":[{"channel-type":"main","addr":{"transport":"pigeon"}}]}',
      ['/channels/0/addr/transport value_out_of_range'],
    ],
    [
      '{"channels":[{"channel-type":"main","addr":{"transport":"socket","type":"ipx"}}]}',
      ['/channels/0/addr/type value_out_of_range'],
    ],
    ['{"channels":[{"channel-type":"main","addr":{"transport":"socket"}}]}', ['/channels/0/addr/type missing_member']],
    ['{"channels":[{"channel-type":"main","addr":{}}]}', ['/channels/0/addr/transport missing_member']],
    [
      '{"channels":[{"channel-type":"main","addr":{"transport":"exec","args":["a",1],"x":1}}]}',
      ['/channels/0/addr/args/1 wrong_type', '/channels/0/addr/x unknown_member'],
    ],
    ['{"channels":{}}', ['/channels wrong_type']],
    ['[]', [' wrong_type']],
    ['"text"', [' wrong_type']],
  ])('arguments of migrate: %s', (text, expected) => {
    expect([...findings(MigrateArguments, text)].sort()).toEqual(expected);
  });

  test('a malformed value has precedence over a value out of range', () => {
    const schema = Type.Object({ a: Type.Integer({ maximum: 5 }), b: Type.String() }, { additionalProperties: false });
    const refuse = () => refuseFindings(validate(schema as JsonSchema, { a: 6, b: 1 }));
    expect(refuse).toThrow(
      expect.objectContaining({ code: 'wrong_type', violations: [expect.anything(), expect.anything()] }),
    );
    expect(refuse).toThrow('Member /b must be a string, not 1 (and 1 more, see errors).');
  });

  test('pointers escape characters as RFC 6901 requires, and long values are cut', () => {
    expect(findings(MigrateArguments, '{"a/b~c":1}')).toEqual(['/a~1b~0c unknown_member']);
    const [finding] = validate(Type.Integer() as JsonSchema, 'x'.repeat(1000));
    expect(finding?.reason.length).toBeLessThan(120);
  });

  test('the number of violations is limited', () => {
    const value = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`m${index}`, 1]));
    expect(validate(MigrateArguments as unknown as JsonSchema, value)).toHaveLength(VIOLATIONS_MAX);
  });
});
