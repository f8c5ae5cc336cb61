import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CONSOLE_FIELDS, ConsoleRing } from '../../../src/machine/synthetic/console-ring.ts';
import { createDevice } from '../../../src/machine/synthetic/device-body.ts';
import { bodyOf } from '../../../src/machine/synthetic/guest-devices.ts';

describe('the console', () => {
  it('shows the newest 4096 bytes of what was printed', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[ -~]{0,900}$/), { maxLength: 20 }), (lines) => {
        const body = bodyOf(createDevice('ferry-console', 0, CONSOLE_FIELDS));
        const console = new ConsoleRing(body);
        for (const line of lines) console.print(line);
        expect(console.text()).toBe(lines.join('').slice(-4096));
        // Another reader of the same body, as on another thread or after a migration, sees the same.
        expect(new ConsoleRing(body).text()).toBe(console.text());
      }),
    );
  });
});
