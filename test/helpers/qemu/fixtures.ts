/** The recorded streams of test/fixtures/streams. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { JsonObject } from './qmp.ts';

const STREAMS_DIRECTORY = join(import.meta.dirname, '..', '..', 'fixtures', 'streams');
const STREAM_SUFFIX = '.bin.gz';
const RETURN_SUFFIX = '.return.bin.gz';

/** What QEMU reported about a stream; the README beside the streams explains each. */
export type StreamFacts = {
  readonly bytes: number;
  readonly sha256: string;
  readonly returnPathBytes: number;
  readonly ticks: number;
  readonly ramBytes: number;
  readonly lowMemorySha256: string;
  readonly highMemorySha256: string;
  readonly queryMigrate: JsonObject;
};

export type StreamFixture = {
  readonly name: string;
  readonly stream: Buffer;
  /** The answers of the target; null without a return path. */
  readonly returnPath: Buffer | null;
  readonly facts: StreamFacts;
};

/** `pc-10.0`, `pc-7.2`, ... */
export function streamFixtureNames(): string[] {
  const names = readdirSync(STREAMS_DIRECTORY).filter((name) => name.endsWith(STREAM_SUFFIX));
  return names.filter((name) => !name.endsWith(RETURN_SUFFIX)).map((name) => name.slice(0, -STREAM_SUFFIX.length));
}

export function readStreamFixture(name: string): StreamFixture {
  const returnPath = join(STREAMS_DIRECTORY, name + RETURN_SUFFIX);
  const allFacts = JSON.parse(readFileSync(join(STREAMS_DIRECTORY, 'facts.json'), 'utf8')) as Record<
    string,
    StreamFacts
  >;
  const facts = allFacts[name];
  if (facts === undefined) throw new Error(`There is no recorded stream "${name}".`);
  return {
    name,
    stream: gunzipSync(readFileSync(join(STREAMS_DIRECTORY, name + STREAM_SUFFIX))),
    returnPath: existsSync(returnPath) ? gunzipSync(readFileSync(returnPath)) : null,
    facts,
  };
}
