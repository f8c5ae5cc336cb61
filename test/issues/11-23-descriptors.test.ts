// libvirt and openQA open the connection of a migration themselves and pass it over the QMP socket with getfd. Node
// reads a socket by read(2), where the system closes the passed descriptors, so getfd had none to keep. Now the
// socket is read by recvmsg(2). The client of these tests is in Python, since Node cannot send descriptors either.

import { once } from 'node:events';
import { openSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { descriptorIntake, OfferedDescriptors } from '../../src/qmp/descriptor-intake.ts';
import { ask, type FakeApp, fakeApp, temporaryDirectory } from '../helpers/app.ts';
import { opened } from '../helpers/descriptors.ts';
import { localService } from '../helpers/guest-service.ts';
import { hasPassingClient, type PassingClient, passingClient } from '../helpers/passing-client.ts';
import { negotiated, qmpAddress } from '../helpers/qmp-client.ts';
import { shared } from '../helpers/shared.ts';

const command = (execute: string, given: object = {}): string => JSON.stringify({ execute, arguments: given });
const getfd = (fdname: string): string => command('getfd', { fdname });
const SMALL = ['--ram', '2M', '--workload', 'rate=1M,span=1M,pattern=hot'];
const DONE = { return: {} };
const NONE_CAME = { error: { class: 'GenericError', desc: expect.stringContaining('SCM_RIGHTS') } };

type World = { readonly app: FakeApp; readonly client: PassingClient; readonly newFile: () => string };

async function makeWorld(): Promise<World> {
  const directory = temporaryDirectory();
  const app = await fakeApp({ flags: ['--qmp', `unix:${directory}/qmp`] });
  const client = passingClient((await qmpAddress(app)).replace('unix:', ''));
  client.send(command('qmp_capabilities'));
  await client.next();
  await client.next();
  let count = 0;
  const newFile = (): string => {
    const file = join(directory, `passed-${++count}`);
    writeFileSync(file, 'passed');
    return file;
  };
  return { app, client, newFile };
}

async function answers(client: PassingClient, text: string, files: readonly string[] = []): Promise<unknown> {
  client.send(text, files);
  return await client.next();
}

describe.skipIf(!hasPassingClient())('descriptors over a unix socket of QMP', () => {
  const world = shared(makeWorld);
  it('getfd keeps the descriptor of its message, and closefd closes it', async () => {
    const { client, newFile } = world();
    const file = newFile();

    expect(await answers(client, getfd('a'), [file])).toEqual(DONE);
    expect(opened(file)).toBe(1);
    expect(await answers(client, getfd('a'))).toEqual(NONE_CAME);
    expect(await answers(client, command('closefd', { fdname: 'a' }))).toEqual(DONE);
    expect(opened(file)).toBe(0);
    expect(await answers(client, command('closefd', { fdname: 'a' }))).toMatchObject({
      error: { desc: 'There is no descriptor named "a".' },
    });
  });

  it('a name that is used again refers to the new descriptor, and the old one is closed', async () => {
    const { client, newFile } = world();
    const file = newFile();

    await answers(client, getfd('a'), [file]);
    expect(await answers(client, getfd('a'), [file])).toEqual(DONE);
    expect(opened(file)).toBe(1);
  });

  it('a name that begins with a digit is refused, and its descriptor is closed', async () => {
    const { client, newFile } = world();
    const file = newFile();

    expect(await answers(client, getfd('1a'), [file])).toMatchObject({ error: { class: 'GenericError' } });
    expect(opened(file)).toBe(0);
  });

  it('the first of several descriptors of one command is kept, and the others are closed', async () => {
    const { client, newFile } = world();
    const file = newFile();

    expect(await answers(client, getfd('a'), [file, file, file])).toEqual(DONE);
    expect(opened(file)).toBe(1);
    expect(await answers(client, getfd('b'))).toEqual(NONE_CAME);
  });

  it('more than 16 descriptors in one message are all closed', async () => {
    const { client, newFile } = world();
    const file = newFile();

    expect(await answers(client, getfd('a'), Array(16).fill(file))).toEqual(DONE);
    expect(opened(file)).toBe(1);
    expect(await answers(client, getfd('b'), Array(17).fill(file))).toEqual(NONE_CAME);
    expect(opened(file)).toBe(1);
  });

  it('commands in quick succession each get their own descriptor', async () => {
    const { client, newFile } = world();
    const file = newFile();
    const names = Array.from({ length: 20 }, (_, index) => `n${index}`);

    for (const name of names) client.send(getfd(name), [file]);
    for (const _ of names) expect(await client.next()).toEqual(DONE);
    expect(opened(file)).toBe(names.length);
  });

  it('an unused descriptor is available to the next getfd, as in QEMU, until other descriptors arrive', async () => {
    const { client, newFile } = world();
    const file = newFile();

    await answers(client, command('query-name'), [file]);
    expect(opened(file)).toBe(1);
    await answers(client, command('query-name'), [file]);
    expect(opened(file)).toBe(1);
    expect(await answers(client, getfd('a'))).toEqual(DONE);
    expect(opened(file)).toBe(1);
  });

  it('unused descriptors are closed with the connection, and kept descriptors with the service', async () => {
    const { app, client, newFile } = await makeWorld();
    const file = newFile();

    await answers(client, getfd('a'), [file]);
    await answers(client, command('query-name'), [file]);
    client.close();
    await expect.poll(() => opened(file)).toBe(1);
    await app.close();
    expect(opened(file)).toBe(0);
  });

  it('a 65th name is refused, and its descriptor is closed', async () => {
    const { app, client, newFile } = await makeWorld();
    const file = newFile();
    for (let index = 0; index < 64; index++) app.domain.descriptors.keep(`n${index}`, openSync('/dev/null', 'r'));

    expect(await answers(client, getfd('a'), [file])).toMatchObject({ error: { class: 'GenericError' } });
    expect(opened(file)).toBe(0);
  });

  it('a long message with descriptors in its middle is read completely', async () => {
    const { client, newFile } = world();
    const file = newFile();
    const long = JSON.stringify({ execute: 'query-name', id: 'x'.repeat(300_000) });

    client.send(long.slice(0, 100_000), [file]);
    client.send(long.slice(100_000), [file]);
    expect(await client.next()).toMatchObject({ return: { name: expect.any(String) } });
    expect(await answers(client, getfd('a'))).toEqual(DONE);
    expect(opened(file)).toBe(1);
  });
});

describe.skipIf(!hasPassingClient())('a migration through passed descriptors', () => {
  it('moves a guest from one service to another, and uses each name once', async () => {
    const directory = temporaryDirectory();
    const paths = [join(directory, 'source'), join(directory, 'target')] as const;
    const source = await localService([...SMALL, '--qmp', `unix:${paths[0]}`]);
    const target = await localService([...SMALL, '--incoming', 'defer', '--qmp', `unix:${paths[1]}`]);
    for (const { app } of [source, target]) await app.listenQmp();
    const client = passingClient(...paths);
    const done = async (text: string, files: readonly string[], to: number): Promise<void> => {
      client.send(text, files, to);
      expect(await client.next(to)).toEqual(DONE);
    };
    const unusable = join(directory, 'file');
    writeFileSync(unusable, 'no stream goes through a file');
    for (const index of [0, 1]) {
      await client.next(index);
      await done(command('qmp_capabilities'), [], index);
      await done(getfd('unusable'), [unusable], index);
      await done(getfd('migration'), ['pair:stream'], index);
    }

    client.send(command('migrate-incoming', { uri: 'fd:unusable' }), [], 1);
    expect(await client.next(1)).toMatchObject({ error: { class: 'GenericError' } });
    await done(command('migrate', { uri: 'fd:unusable' }), [], 0);
    expect(await source.ended()).toMatchObject({ status: 'failed', error: { code: 'descriptor_unusable' } });
    expect(opened(unusable)).toBe(0);
    await done(command('migrate-incoming', { uri: 'fd:migration' }), [], 1);
    await done(command('migrate', { uri: 'fd:migration' }), [], 0);
    expect(await source.ended()).toMatchObject({ status: 'completed' });
    await target.expectRunning();
    client.send(command('closefd', { fdname: 'migration' }), [], 0);
    expect(await client.next(0)).toMatchObject({ error: { class: 'GenericError' } });
  });
});

it('getfd reports over TCP and HTTP that no descriptor can be passed', async () => {
  const app = await fakeApp({ flags: ['--qmp', 'tcp:127.0.0.1:0'] });
  const client = await negotiated(await qmpAddress(app));
  client.send(getfd('a'));

  expect(await client.next()).toEqual(NONE_CAME);
  const { json } = await ask(app.server, '/qmp', { body: { execute: 'getfd', arguments: { fdname: 'a' } } });
  expect(json).toEqual(NONE_CAME);
});

it('a command keeps its descriptor while other descriptors arrive, and unused descriptors are closed', () => {
  const closed: number[] = [];
  const offered = new OfferedDescriptors((descriptor) => closed.push(descriptor));
  offered.add([1, 2]);
  const first = offered.forCommand();
  offered.add([3]);
  const second = offered.forCommand();
  offered.add([4]);

  expect(closed).toEqual([]);
  expect(offered.take(first)).toBe(1);
  expect(closed).toEqual([2]);
  offered.release(first);
  offered.release(second);
  expect(closed).toEqual([2, 3]);
  offered.closeAll();
  expect(closed).toEqual([2, 3, 4]);
});

/* The handle is an inner part of Node's sockets. A Node without it would read on, and no descriptor would ever come. */
it('descriptors can be read from an accepted unix socket', async () => {
  const path = join(temporaryDirectory(), 's');
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }).listen(path);
  await once(server, 'listening');
  const client = net.connect(path);
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  onTestFinished(() => {
    for (const socket of [client, accepted]) socket.destroy();
    server.close();
  });
  const chunks: Buffer[] = [];
  const came = Promise.withResolvers<void>();
  const intake = descriptorIntake(accepted, (chunk) => {
    chunks.push(chunk);
    came.resolve();
  });

  expect(intake.takesDescriptors, 'Node has no such handle any more: see docs/adr').toBe(true);
  intake.resume();
  client.end('all of it');
  await came.promise;
  await once(accepted, 'end');
  expect(Buffer.concat(chunks).toString()).toBe('all of it');
});
