// Effects of a hostile or broken peer on an outgoing migration: the guest keeps running, unless the peer may have it.
// test/soak/failures.test.ts tests all of them over every transport, and both kinds of close in all phases.

import { describe, expect, test } from 'vitest';
import { busyService, closeInPhases, closingsWith, expectMigrates } from '../helpers/closing-peer.ts';
import * as outgoing from '../helpers/failures/outgoing.ts';
import { closedPort } from '../helpers/peer.ts';

describe('a target', () => {
  test('that cannot be reached has distinct codes in the history, and the guest keeps running', async () => {
    const source = await busyService({ deadlines: outgoing.IMPATIENT });
    const unreachable = 'tcp:255.255.255.255:4444';
    const uris = [
      `tcp:127.0.0.1:${await closedPort()}`,
      'tcp:no-such-host.invalid:4444',
      'unix:/nowhere/x',
      unreachable,
    ];
    const rows = [];
    for (const uri of uris) rows.push(await source.migrate(uri));

    expect(rows.map(({ status, guest }) => [status, guest])).toEqual(uris.map(() => ['failed', 'here']));
    const codes = rows.map(({ error }) => error?.code);
    expect(codes.slice(0, 3)).toEqual(['connection_refused', 'host_not_found', 'no_such_file']);
    expect(['host_unreachable', 'permission_denied', 'channel_failed']).toContain(codes[3]);
    expect((await source.query())['error-desc']).toContain('255.255.255.255');

    // An address of the documentation's network: packets are lost, or the host reports at once that it has no route.
    const row = await source.migrate('tcp:192.0.2.1:4444');
    expect(row.status).toBe('failed');
    expect(['deadline_exceeded', 'host_unreachable', 'connection_refused', 'channel_failed']).toContain(
      row.error?.code,
    );
    await expectMigrates(source);
  });

  test('that accepts and never reads fails at the deadline for silence, with constant memory', () =>
    outgoing.silentTarget('tcp'));
});

describe('a peer that closes', () => {
  test('with FIN or RST, in any phase, leaves the guest running here', async () => {
    const isReset = (phase: string): boolean => phase === 'first pass' || phase === 'last pass';
    const resets = closingsWith('RST').filter(({ phase }) => isReset(phase));
    expect(resets).toHaveLength(2);
    await closeInPhases([...closingsWith('FIN').filter(({ phase }) => !isReset(phase)), ...resets]);
  });
});

describe('at the handover over tcp', () => {
  test('without a return path a silence or a reset leaves the outcome unknown, and an orderly close is an unconfirmed completion', () =>
    outgoing.handoverWithoutReturnPath('tcp'));

  test('with a return path a close without a confirmation leaves the outcome unknown, an error returns the guest, and a confirmation completes', () =>
    outgoing.handoverWithReturnPath('tcp'));
});

test('a return path with garbage, floods, page requests or wrong confirmations fails the migration and leaves the guest running', () =>
  outgoing.wrongReturnPaths('tcp'));

test('a pause at the switchover that is longer than the deadlines can be ended', () => outgoing.longPause('tcp'));
