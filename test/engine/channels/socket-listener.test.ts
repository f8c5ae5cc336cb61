import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { SocketListener } from '../../../src/engine/channels/socket-listener.ts';

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'vmferry-socket-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

async function listen(path: string): Promise<unknown> {
  const listener = new SocketListener(`unix:${path}`, 1000);
  onTestFinished(() => listener.close());
  return listener.listen({ transport: 'unix', path });
}

test('the socket of a killed service is replaced', async () => {
  const path = join(directory(), 'left.sock');
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  spawnSync(process.execPath, ['-e', script]);
  expect(existsSync(path)).toBe(true);
  await expect(listen(path)).resolves.toEqual({ transport: 'unix', path });
});

test('a socket with a listener is kept', async () => {
  const path = join(directory(), 'busy.sock');
  // The check for a listener closes its connection at once.
  const other = net.createServer((socket) => socket.on('error', () => {}).end('still here'));
  await new Promise<void>((resolve) => other.listen(path, resolve));
  onTestFinished(() => void other.close());
  await expect(listen(path)).rejects.toMatchObject({ code: 'address_in_use' });
  const said = await new Promise((resolve) => net.connect(path).once('data', (data) => resolve(data.toString())));
  expect(said).toBe('still here');
});

test('a file that is no socket is kept', async () => {
  const path = join(directory(), 'file');
  writeFileSync(path, 'precious');
  await expect(listen(path)).rejects.toMatchObject({ code: 'address_in_use' });
  expect(existsSync(path)).toBe(true);
});

test('a missing folder and a folder without write permission have distinct errors', async () => {
  await expect(listen(join(directory(), 'none', 'socket'))).rejects.toMatchObject({ code: 'no_such_file' });
});
