import { readFileSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

/** What can wait is done so long after the start, in milliseconds: no request of the first moments waits for it. */
const SETTLE_MS = 1000;
/** Between two looks whether the parent process is still there, in milliseconds. */
const PARENT_LOOK_MS = 500;
/** Migrations and jobs that are named while the end waits for them. */
const RUNS_NAMED_MAX = 5;
/** What tells the service to stop; without a token file, which it makes to be read again, SIGHUP does so too. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
/** Migrations that stand in one of these, or none, wait for nothing of the main thread. */
const RESTING: ReadonlySet<string | undefined> = new Set([
  undefined,
  'none',
  'setup',
  'completed',
  'failed',
  'cancelled',
]);

// Before anything large is loaded: what Node compiled at an earlier start is taken from its cache.
const compileCache = fileURLToPath(new URL('../node_modules/.cache/vmferry', import.meta.url));
enableCompileCache(compileCache);
const { ConfigError, passCompileCache, readInvocation, readTokenFile } = await import('./config.ts');
passCompileCache(compileCache);
process.exit(await run(process.argv.slice(2)));

/** Runs until it is told to stop. @returns the exit status. */
async function run(argv: readonly string[]): Promise<number> {
  try {
    const invocation = readInvocation(argv, readVersion());
    if (invocation.action === 'print') {
      process.stdout.write(invocation.text);
      return 0;
    }
    if (invocation.action === 'client') {
      const { runClient } = await import('./cli/main.ts');
      return await runClient(invocation.argv, invocation);
    }
    // Before anything here opens a descriptor: afterwards its own could not be told from inherited ones.
    const { claimDescriptors } = await import('./config/descriptors.ts');
    claimDescriptors(invocation.config.descriptors);
    return await serve(invocation.config);
  } catch (error) {
    console.error(`vmferry: ${firstLine(error)}`);
    return error instanceof ConfigError || (await isRefusedSetting(error)) ? 2 : 1;
  }
}

async function serve(config: import('./config.ts').Config): Promise<number> {
  const { UrlFile } = await import('./start/http-address.ts');
  const urlFile = config.urlFile === null ? null : new UrlFile(config.urlFile);
  const { startBlockWorker } = await import('./engine/snapshot/block-worker.ts');
  // Its start takes as long as loading the rest.
  const firstWorker = startBlockWorker();
  const { createApp } = await import('./app.ts');
  const { underWay } = await import('./start/service-lifetime.ts');
  const { trimHeap } = await import('./engine/memory/trim-heap.ts');
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  const app = await createApp(config, { blockThread: { firstWorker }, onExit: (failed) => end(failed ? 1 : 0) });
  try {
    let isToldToStop = false;
    const { tokenFile, endsWithParent } = config;
    if (endsWithParent) whenParentEnds(() => process.kill(process.pid, 'SIGTERM'));
    if (tokenFile !== null) process.on('SIGHUP', () => reload(app, tokenFile));
    onSignal(tokenFile === null ? [...SIGNALS, 'SIGHUP'] : SIGNALS, {
      first: () => {
        isToldToStop = true;
        tellOfWaiting(underWay(app.domain), config.drainTimeoutMs);
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
    if (isToldToStop) await app.drain(config.drainTimeoutMs);
    return status;
  } finally {
    await app.close();
    urlFile?.remove();
  }
}

/** npm hands SIGTERM and SIGINT on, but neither SIGHUP nor its own death. */
function whenParentEnds(work: () => void): void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    work();
  }, PARENT_LOOK_MS);
  timer.unref();
}

/** Says on standard error what the end waits for; nothing where nothing runs. */
function tellOfWaiting(runs: readonly string[], drainTimeoutMs: number): void {
  if (runs.length === 0 || drainTimeoutMs === 0) return;
  const shown = runs.slice(0, RUNS_NAMED_MAX).join(', ');
  const more = runs.length > RUNS_NAMED_MAX ? ` and ${runs.length - RUNS_NAMED_MAX} more` : '';
  const rest = `for ${drainTimeoutMs / 1000} s at most; once more (Ctrl-C or SIGTERM) ends the service at once`;
  console.error(`vmferry: stopping: waits for ${shown}${more}, ${rest}`);
}

/** What was compiled is written to the cache now, and not when the process ends; what the start needed is given back. */
function settle(app: import('./app.ts').App, trimHeap: () => void): void {
  flushCompileCache();
  trimHeap();
  void giveBackAfterBursts(app);
}

async function giveBackAfterBursts({ server, domain }: import('./app.ts').App): Promise<void> {
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

/** Takes the tokens that the file has now; if it cannot be used those known before stay. */
function reload(app: import('./app.ts').App, tokenFile: string): void {
  const { log } = app.server;
  try {
    const { tokens, warnings } = readTokenFile(tokenFile);
    app.replaceTokens(tokens);
    for (const warning of warnings) log.warn(warning);
    log.info({ tokens: tokens.length }, 'the token file was read again');
  } catch (error) {
    log.error({ err: error }, 'the token file cannot be used; the tokens known before stay');
  }
}

/** Calls `first` at the first signal; the second, of whichever kind, ends the process at once, as it would without us. */
function onSignal(
  signals: readonly NodeJS.Signals[],
  { first, second }: { readonly first: () => void; readonly second: () => void },
): void {
  const replace = (before: NodeJS.SignalsListener, now: NodeJS.SignalsListener | null): void => {
    for (const signal of signals) {
      process.off(signal, before);
      if (now !== null) process.on(signal, now);
    }
  };
  const onFirst = (): void => {
    replace(onFirst, onSecond);
    first();
  };
  const onSecond = (signal: NodeJS.Signals): void => {
    replace(onSecond, null);
    second();
    process.kill(process.pid, signal);
  };
  for (const signal of signals) process.on(signal, onFirst);
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

/** A setting for this start (--set, --enable, --incoming) that the domain refused, or an image that cannot be used. */
async function isRefusedSetting(error: unknown): Promise<boolean> {
  // Loaded only here: the client has no use for it.
  const { DomainError } = await import('./domain/errors.ts');
  if (!(error instanceof DomainError)) return false;
  return error.code.startsWith('image_') || ['malformed', 'forbidden', 'invalid', 'unavailable'].includes(error.kind);
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0] ?? '';
}
