// These tests cover commands of `exec:` addresses. A command that continued after its stream had been read ran
// forever, and lost its parent at the end of its worker. A command whose child process kept its error output open was
// never reported as ended. A process group was killed by the pid of a process that might have ended long before, so
// the pid could belong to another group.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { Command, ExecIncomingChannel, ExecOutgoingChannel } from '../../src/engine/channels/exec.ts';
import { temporaryDirectory } from '../helpers/app.ts';

const shell = (command: string) => ['/bin/sh', '-c', command];

function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Reads a channel until its first bytes have come. */
function firstBytes(channel: ExecIncomingChannel): Promise<string> {
  const buffer = new Uint8Array(new SharedArrayBuffer(64));
  return new Promise((resolve) =>
    channel.read(
      () => buffer,
      (count) => resolve(Buffer.from(buffer.slice(0, count)).toString()),
    ),
  );
}

it.each([
  ['itself', 'echo $$; exec sleep 1000'],
  ['a child process', 'sleep 1000 & echo $!; wait'],
  ['a child process that outlives it', 'sleep 1000 & echo $!'],
])('a command that continues after its stream was read is killed with its child processes: %s', async (_, command) => {
  const channel = new ExecIncomingChannel(shell(command));
  const pid = Number(await firstBytes(channel));
  expect(isAlive(pid)).toBe(true);
  channel.close();
  await expect.poll(() => isAlive(pid)).toBe(false);
});

it('a command that exits is finished, although a child process keeps its error output open', async () => {
  const file = join(temporaryDirectory(), 'pid');
  const channel = new ExecOutgoingChannel(shell(`cat > /dev/null; sleep 1000 & echo $! > ${file}`));
  channel.write(Buffer.from('all of it'), () => {});
  await channel.finish();
  const pid = Number(readFileSync(file, 'utf8'));
  await expect.poll(() => isAlive(pid)).toBe(false);
  channel.destroy();
});

it('a background process that a command detaches from its outputs outlives the command', async () => {
  const file = join(temporaryDirectory(), 'pid');
  const channel = new ExecOutgoingChannel(shell(`cat > /dev/null; sleep 1000 > /dev/null 2>&1 & echo $! > ${file}`));
  await channel.finish();
  channel.destroy();
  const pid = Number(readFileSync(file, 'utf8'));
  expect(isAlive(pid)).toBe(true);
  process.kill(pid, 'SIGKILL');
});

/** The start time of a process from /proc, in hundredths of a second. */
function startedAt({ child }: Command): string | undefined {
  return readFileSync(`/proc/${child.pid}/stat`, 'latin1').split(') ')[1]?.split(' ')[19];
}

async function end(command: Command): Promise<void> {
  const closed = new Promise((resolve) => command.child.once('close', resolve));
  command.kill();
  await closed;
}

it('killing a command does not kill another process that has its pid', async () => {
  const other = new Command(shell('exec sleep 1000'), 'out');
  let command = new Command(shell('exec sleep 1000'), 'out');
  while (startedAt(command) === startedAt(other)) {
    await end(command);
    command = new Command(shell('exec sleep 1000'), 'out');
  }
  const own = command.child.pid;
  Object.defineProperty(command.child, 'pid', { value: other.child.pid });
  command.kill();
  expect(isAlive(other.child.pid ?? 0)).toBe(true);
  Object.defineProperty(command.child, 'pid', { value: own });
  await Promise.all([end(command), end(other)]);
});
