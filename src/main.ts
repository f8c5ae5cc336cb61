import { readFileSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

/** Time after the start at which deferred work is done, in milliseconds: it does not delay the first requests. */
const SETTLE_MS = 1000;
/** Signals that stop the service. SIGHUP does so too, unless a token file is in use: then SIGHUP reads that file again. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** Statuses of a migration in which the main thread does no work for it. */
const RESTING: ReadonlySet<string | undefined> = new Set([
  undefined,
  'none',
  'setup',
  'completed',
  'failed',
  'cancelled',
]);

// The compile cache is enabled before large files are loaded, so that it serves them too.
const compileCache = fileURLToPath(new URL('../node_modules/.cache/vmferry', import.meta.url));
enableCompileCache(compileCache);
const { ConfigError, passCompileCache, readInvocation, readTokenFile } = await import('./config.ts');
passCompileCache(compileCache);
process.exit(await run(process.argv.slice(2)));

/** Runs the command of the command line; the service runs until it is stopped. @returns the exit status. */
async function run(argv: readonly string[]): Promise<number> {
  try {
    const invocation = readInvocation(argv, readVersion());
    if (invocation.action === 'print') {
      process.stdout.write(invocation.text);
      return 0;
    }
    if (invocation.action === 'client') {
      const { runClient } = await import('./cli/client-program.ts');
      return await runClient(invocation.argv, invocation);
    }
    // Must come before this program opens a descriptor, which could not be distinguished from an inherited one.
    const { claimDescriptors } = await import('./config/given-flags.ts');
    claimDescriptors(invocation.config.descriptors);
    return await serve(invocation.config);
  } catch (error) {
    console.error(`vmferry: ${firstLine(error)}`);
    return error instanceof ConfigError || (await isRefusedSetting(error)) ? 2 : 1;
  }
}

async function serve(config: import('./config.ts').Config): Promise<number> {
  const { UrlFile } = await import('./start/url-file.ts');
  const urlFile = config.urlFile === null ? null : new UrlFile(config.urlFile);
  const { startBlockWorker } = await import('./engine/snapshot/block-worker.ts');
  // Starting the block thread takes as long as loading the other files, so it starts first.
  const firstWorker = startBlockWorker();
  const { createApp } = await import('./app.ts');
  const { onSignals, pendingWork, waitingMessage, whenParentEnds } = await import('./start/service-lifetime.ts');
  const { trimHeap } = await import('./engine/memory/heap-relief.ts');
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  const app = await createApp(config, { blockThread: { firstWorker }, onExit: (failed) => end(failed ? 1 : 0) });
  try {
    let isStopping = false;
    const { tokenFile, endsWithParent } = config;
    if (endsWithParent) whenParentEnds(() => process.kill(process.pid, 'SIGTERM'));
    if (tokenFile !== null) process.on('SIGHUP', () => reload(app, tokenFile));
    onSignals(tokenFile === null ? [...SIGNALS, 'SIGHUP'] : SIGNALS, {
      first: () => {
        isStopping = true;
        const message = waitingMessage(pendingWork(app.domain), config.drainTimeoutMs);
        if (message !== null) console.error(`vmferry: ${message}`);
        end(0);
      },
      second: () => urlFile?.remove(),
    });
    const qmp = await app.listenQmp();
    await app.listenHttp();
    const url = addressOf(app.server.server.address());
    urlFile?.write(url);
    process.stdout.write(`vmferry: ${url}\nvmferry: docs ${url}/docs\n`);
    for (const address of qmp) process.stdout.write(`vmferry: qmp ${address}\n`);
    setTimeout(() => settle(app, trimHeap), SETTLE_MS).unref();
    const status = await ended;
    if (isStopping) await app.drain(config.drainTimeoutMs);
    return status;
  } finally {
    await app.close();
    urlFile?.remove();
  }
}

/** Deferred work of the start: writes the compile cache, and returns memory that only the start needed. */
function settle(app: import('./app.ts').App, trimHeap: () => void): void {
  flushCompileCache();
  trimHeap();
  void freeMemoryAfterBursts(app);
}

/** Returns memory to the system after bursts of requests, while no migration or job is running. */
async function freeMemoryAfterBursts({ server, domain }: import('./app.ts').App): Promise<void> {
  const { HeapRelief } = await import('./engine/memory/heap-relief.ts');
  let work = 0;
  for (const event of ['connection', 'request'])
    server.server.on(event, () => {
      work += 1;
    });
  const isBusy = (): boolean =>
    !RESTING.has(domain.migration.query().status) || domain.jobs.list().some(({ endedAt }) => endedAt === null);
  new HeapRelief({ work: () => work, isBusy });
}

/** Reads the token file again. If it is not valid, the former tokens stay. */
function reload(app: import('./app.ts').App, tokenFile: string): void {
  const { log } = app.server;
  try {
    const { tokens, warnings } = readTokenFile(tokenFile);
    app.replaceTokens(tokens);
    for (const warning of warnings) log.warn(warning);
    log.info({ tokens: tokens.length }, 'the token file was read again');
  } catch (error) {
    log.error({ err: error }, 'the token file cannot be used; the former tokens stay valid');
  }
}

function addressOf(address: import('node:net').AddressInfo | string | null): string {
  if (address === null || typeof address === 'string') throw new TypeError('the server does not listen on a port');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** True if the domain refused a setting of this run (--set, --enable, --incoming) or an image: exit status 2. */
async function isRefusedSetting(error: unknown): Promise<boolean> {
  // Loaded only here, since the client does not need it.
  const { DomainError } = await import('./domain/errors.ts');
  if (!(error instanceof DomainError)) return false;
  return error.code.startsWith('image_') || ['malformed', 'forbidden', 'invalid', 'unavailable'].includes(error.kind);
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0] ?? '';
}
