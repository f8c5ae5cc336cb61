import { readdirSync, readlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { MigrationAddress } from '../../../src/domain/ports/migration-session.ts';
import { openIncoming, openOutgoing } from '../../../src/engine/channels/transports.ts';
import { temporaryDirectory } from '../../helpers/app.ts';

/** Longer than the operating system lets an argument be. */
const LONG_COMMAND: MigrationAddress = { transport: 'exec', command: ['/bin/sh', '-c', ' '.repeat(2 ** 20)] };

/** The descriptors of this process for files below `folder`, since other tests have their own files. */
function openFilesBelow(folder: string): number {
  return readdirSync('/proc/self/fd').filter((number) => targetOf(number).startsWith(folder)).length;
}

function targetOf(number: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${number}`);
  } catch {
    // It was that of the directory itself.
    return '';
  }
}

function open(address: MigrationAddress, root = temporaryDirectory()): Promise<unknown> {
  return openOutgoing(address, root, new AbortController().signal);
}

describe('a channel that cannot be opened', () => {
  it('fails with a code of the project if the system has only its own error', async () => {
    const outgoing: unknown = await open(LONG_COMMAND).catch((error: unknown) => error);
    expect(outgoing).not.toBeInstanceOf(Error);
    expect(outgoing).toMatchObject({ code: 'channel_failed', message: expect.stringMatching(/^exec:.*E2BIG/) });
    expect(() => openIncoming(LONG_COMMAND, { fileRoot: temporaryDirectory(), headerMs: 1000 })).toThrow(
      expect.objectContaining({ code: 'channel_failed' }),
    );
  });

  it('leaves no open file if the file cannot have the length of the offset', async () => {
    const root = temporaryDirectory();
    const address = { transport: 'file', path: 'image', offset: Number.MAX_SAFE_INTEGER } as const;
    const refused: unknown = await open(address, root).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'no_space', message: expect.stringMatching(/^file:image: /) });
    // A thread of the pool closes the draft after the refusal.
    await expect.poll(() => openFilesBelow(root), { interval: 5 }).toBe(0);
  });

  it('fails with the code of the system error', async () => {
    const missing = { transport: 'unix', path: `${temporaryDirectory()}/none.sock` } as const;
    await expect(open(missing)).rejects.toMatchObject({ code: 'no_such_file' });
    const folder = { transport: 'file', path: 'none/image', offset: 0 } as const;
    await expect(open(folder)).rejects.toMatchObject({ code: 'no_such_file' });
    const outside = { transport: 'file', path: '../image', offset: 0 } as const;
    await expect(open(outside)).rejects.toMatchObject({ code: 'file_outside_root' });
  });
});
