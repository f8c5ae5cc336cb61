/** Makes one recording: starts the guest, migrates it, and reads QEMU's figures. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { launchQemu, type Qemu } from '../../test/helpers/qemu/process.ts';
import type { JsonObject } from '../../test/helpers/qemu/qmp.ts';
import { guestTicks } from '../../test/helpers/qemu/serial.ts';
import type { Recipe } from './recipes.ts';

export type Recording = {
  readonly recipe: Recipe;
  readonly stream: Uint8Array;
  readonly returnPath: Uint8Array | null;
  /** Figures for checks of a reader of the stream. */
  readonly facts: JsonObject;
  /** The command line of the source and its QMP commands, for the README. */
  readonly commands: readonly string[];
};

type Bytes = { readonly stream: Buffer; readonly returnPath: Buffer | null };

/** Physical addresses below the legacy hole and above 1 MiB are offsets in pc.ram. */
const LOW_MEMORY_END = 0xa_0000;
const HIGH_MEMORY_START = 0x10_0000;

export async function record(recipe: Recipe, binary: string): Promise<Recording> {
  await using source = await launchQemu({ ...recipe.options, binary });
  await source.waitForTicks(10);
  if (recipe.stopped === true) await source.qmp.execute('stop');
  const bytes = recipe.through === 'file' ? await toFile(recipe, source) : await throughRelay(recipe, source, binary);
  const info = await source.qmp.query('query-migrate');
  const memory = await source.physicalMemory();
  return {
    recipe,
    ...bytes,
    facts: {
      bytes: bytes.stream.length,
      returnPathBytes: bytes.returnPath?.length ?? 0,
      ticks: guestTicks(source.serialText()).length,
      ramBytes: memory.length,
      lowMemorySha256: sha256(memory.subarray(0, LOW_MEMORY_END)),
      highMemorySha256: sha256(memory.subarray(HIGH_MEMORY_START)),
      queryMigrate: info,
    },
    commands: commandsOf(recipe, source),
  };
}

async function toFile(recipe: Recipe, source: Qemu): Promise<Bytes> {
  const path = source.path('stream.bin');
  await migrate(recipe, source, recipe.qemu === '7.2' ? `exec:cat>${path}` : `file:${path}`);
  return { stream: readFileSync(path), returnPath: null };
}

async function throughRelay(recipe: Recipe, source: Qemu, binary: string): Promise<Bytes> {
  await using target = await launchQemu({ ...recipe.options, binary, incoming: 'defer', paused: true });
  const targetPath = target.path('migration.sock');
  await target.qmp.execute('migrate-incoming', { uri: `unix:${targetPath}` });
  const sent: Buffer[] = [];
  const answered: Buffer[] = [];
  const relay = createServer({ allowHalfOpen: true }, (fromSource) => {
    const toTarget = connect({ path: targetPath, allowHalfOpen: true });
    fromSource.on('data', (chunk: Buffer) => sent.push(chunk));
    toTarget.on('data', (chunk: Buffer) => answered.push(chunk));
    for (const socket of [fromSource, toTarget]) socket.on('error', () => undefined);
    fromSource.pipe(toTarget).pipe(fromSource);
  });
  relay.listen(source.path('relay.sock'));
  await once(relay, 'listening');
  try {
    await migrate(recipe, source, `unix:${source.path('relay.sock')}`);
    const { status } = await target.waitForMigrationEnd();
    if (status !== 'completed') throw new Error(`${recipe.name}: the status at the target is ${status}.`);
  } finally {
    relay.close();
  }
  return { stream: Buffer.concat(sent), returnPath: Buffer.concat(answered) };
}

async function migrate(recipe: Recipe, source: Qemu, uri: string): Promise<void> {
  const ended = source.migrate(uri, 60_000);
  if (recipe.passes !== undefined) {
    const held = recipe.passes;
    await source.qmp.waitForEvent('MIGRATION_PASS', { matches: ({ pass }) => Number(pass) >= held, timeoutMs: 60_000 });
    await source.qmp.execute('migrate-set-parameters', { 'max-bandwidth': 0, 'downtime-limit': 300 });
  }
  const { status, info } = await ended;
  if (status !== 'completed') throw new Error(`${recipe.name}: ${status}, ${String(info['error-desc'])}`);
}

function commandsOf(recipe: Recipe, source: Qemu): string[] {
  const words = source.commandLine.map((word) => word.replaceAll(source.directory, '$DIR'));
  const commands = [words.map((word) => (/[ >]/.test(word) ? `'${word}'` : word)).join(' ')];
  const capabilities = ['events', ...(recipe.options.capabilities ?? [])].map((capability) => ({
    capability,
    state: true,
  }));
  commands.push(`migrate-set-capabilities ${JSON.stringify({ capabilities })}`);
  const { parameters } = recipe.options;
  if (parameters !== undefined) commands.push(`migrate-set-parameters ${JSON.stringify(parameters)}`);
  if (recipe.stopped === true) commands.push('stop');
  const file = recipe.qemu === '7.2' ? 'exec:cat>$DIR/stream.bin' : 'file:$DIR/stream.bin';
  commands.push(`migrate {"uri":"${recipe.through === 'file' ? file : 'unix:$DIR/relay.sock'}"}`);
  if (recipe.passes !== undefined) {
    commands.push(
      `(at MIGRATION_PASS ${recipe.passes}) migrate-set-parameters {"max-bandwidth":0,"downtime-limit":300}`,
    );
  }
  return commands;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
