// A registry with the packages of package-lock.json from node_modules, so that npm installs vmferry's package with
// all dependencies and without a network.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Files that no program needs at run time: most of the bytes, and more than half of the files. */
const UNUSED = [
  './node_modules',
  ...['c', 'h', 'cc', 'cpp', 'map', 'd.ts', 'd.cts', 'd.mts', 'md'].map((ending) => `*.${ending}`),
  ...['test', 'tests', 'benchmark', 'benchmarks', 'examples', 'docs', 'doc', 'vendor', '.github'].map(
    (name) => `./${name}`,
  ),
  ...['win32', 'darwin'].map((platform) => `./prebuilds/${platform}-*`),
];

type Locked = { readonly version: string; readonly dev?: boolean; readonly [member: string]: unknown };

/** A version of a package: its manifest and its directory. */
type Version = { readonly manifest: Readonly<Record<string, unknown>>; readonly directory: string };

export type Registry = { readonly url: string; close(): Promise<void> };

export async function startRegistry(): Promise<Registry> {
  const packages = readPackages();
  const server = createServer(({ url = '' }, response) => {
    const [name = '', version] = decodeURIComponent(url.slice(1)).split('/-/');
    const found = packages.get(name);
    if (found === undefined) response.writeHead(404).end('{}');
    else if (version === undefined) sendVersions(found, { name, base: baseOf(server), response });
    else sendTarball(found.get(version)?.directory ?? '', response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: baseOf(server),
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function baseOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Versions by name. A package for another platform is known from the lock file only; npm requires the entry. */
function readPackages(): Map<string, Map<string, Version>> {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    readonly packages: Readonly<Record<string, Locked>>;
  };
  const packages = new Map<string, Map<string, Version>>();
  for (const [path, locked] of Object.entries(lock.packages)) {
    if (path === '' || locked.dev === true) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const directory = join(ROOT, path);
    const file = join(directory, 'package.json');
    const manifest = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { ...locked, name };
    const versions = packages.get(name) ?? new Map<string, Version>();
    packages.set(name, versions.set(locked.version, { manifest, directory }));
  }
  return packages;
}

function sendVersions(
  found: ReadonlyMap<string, Version>,
  { name, base, response }: { readonly name: string; readonly base: string; readonly response: ServerResponse },
): void {
  const versions = [...found].map(([version, { manifest }]) => {
    const dist = { tarball: `${base}/${encodeURIComponent(name)}/-/${version}` };
    return [version, { ...manifest, dist }] as const;
  });
  const latest = versions.at(-1)?.[0];
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ name, 'dist-tags': { latest }, versions: Object.fromEntries(versions) }));
}

function sendTarball(directory: string, response: ServerResponse): void {
  const flags = [...UNUSED.map((pattern) => `--exclude=${pattern}`), '--transform=s,^\\.,package,'];
  const tar = spawn('tar', ['-c', ...flags, '-C', directory, '.'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  response.writeHead(200, { 'content-type': 'application/octet-stream' });
  tar.stdout.pipe(response);
}
