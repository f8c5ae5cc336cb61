import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HmpMonitor } from '../../src/hmp/hmp-monitor.ts';
import { fakeDomain } from '../domain/fakes/fake-domain.ts';

const WORDS = [
  ...['help', 'info', '?', 'migrate_set_parameter', 'migrate_set_capability', 'migrate_continue', 'calc_dirty_rate'],
  ...['set_vcpu_dirty_limit', 'status', 'migrate', 'jobs', 'snapshots', 'migrate_parameters', 'tls-hostname', 'events'],
  ...['max-bandwidth', 'on', 'off', '-d', '-', '"', '\\', "'", '(', '0x', '1+', '~', '/', ';', '`', '$(x)', '|', '&'],
  ...[
    '\n',
    '\r',
    '\0',
    '\u001b[31m',
    '\u202e',
    '\u2028',
    '\ud800',
    '__proto__',
    'constructor',
    'toString',
    '9'.repeat(99),
  ],
];

const line = fc
  .array(fc.oneof(fc.constantFrom(...WORDS), fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 8 })
  .chain((words) => fc.constantFrom(' ', '', '\t').map((space) => words.join(space)));

describe('unusual lines', () => {
  test('each get an answer without terminal control characters, and the next command works', async () => {
    const { domain } = fakeDomain();
    const monitor = new HmpMonitor(domain);
    await fc.assert(
      fc.asyncProperty(line, async (given) => {
        const { text } = await monitor.answer(given);
        expect(text).toMatch(/^(?:[^\p{Cc}\p{Cs}\u2028\u202e]|[\n\t])*$/u);
        expect(text === '' || text.endsWith('\n')).toBe(true);
        for (const word of monitor.complete(given)) expect(word).not.toBe('');
      }),
      { numRuns: 3000, seed: 4 },
    );
    expect(await monitor.run('info status')).toMatch(/^VM status: /);
    expect(Object.hasOwn(Object.prototype, 'state')).toBe(false);
  });

  test('of one repeated character are parsed in time proportional to their length', async () => {
    const monitor = new HmpMonitor(fakeDomain().domain);
    for (const unit of ['"', '\\', ' ', '(', '-', '1+', '0', '9', 'a ', '~', '\n', '"\\n']) {
      for (const start of ['', 'migrate ', 'calc_dirty_rate ', 'migrate_set_parameter max-bandwidth ', 'help ']) {
        const long = start + unit.repeat(Math.floor(65_000 / unit.length));
        const before = process.cpuUsage();
        await monitor.answer(long);
        monitor.complete(long);
        expect(process.cpuUsage(before).user / 1000, JSON.stringify(start + unit)).toBeLessThan(500);
      }
    }
  });
});
