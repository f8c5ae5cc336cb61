// Services in processes of their own that are killed or told to stop: what is kept is whole, and says what happened.

import { once } from 'node:events';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../helpers/app.ts';
import { crashIncoming, crashOutgoing } from '../helpers/crash-loop.ts';
import { spawnService, startProcess } from '../helpers/guest-service.ts';
import { openPeer } from '../helpers/peer.ts';

test('kill -9 while a guest is sent away and parameters change leaves nothing half done', () => crashOutgoing(2));

test('kill -9 while a guest is received leaves it at its source', () => crashIncoming(1));

test('SIGTERM during a migration cancels it and ends with 0; a second service on the data is refused and harms nothing', async () => {
  const data = temporaryDirectory();
  const peer = await openPeer();
  const service = await spawnService(data, ['--set', 'max-bandwidth=100000', '--drain-timeout', '1']);
  await service.expectRunning();
  const id = await service.start(peer.uri);
  await service.untilStatus('active');
  const closed = new Promise<void>((resolve) => peer.socket.once('close', () => resolve()));
  expect(await service.end('SIGTERM')).toBe(0);
  await closed;
  expect(service.errors()).toBe('');

  const again = await spawnService(data);
  expect(await again.row(id)).toMatchObject({ status: 'cancelled', guest: 'here' });
  const second = startProcess(data, []);
  const errors: string[] = [];
  second.stderr?.on('data', (chunk) => errors.push(String(chunk)));
  const [status] = await once(second, 'exit');
  expect(status).toBeGreaterThan(0);
  expect(errors.join('')).toMatch(/^vmferry: Another service uses the data/);
  await again.expectRunning();
  expect(await again.end('SIGTERM')).toBe(0);
});
