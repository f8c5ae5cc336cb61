import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { ConfigError } from '../config/flag-values.ts';

/*
 * The file of --url-file. It is written once the service listens and removed at the end. One that a killed service left
 * behind is replaced then, and not before: a service that cannot start takes no file from one that runs. What is no such
 * file is left alone.
 */

/** What such a file holds: an address on one line, or nothing. */
const CONTENT = /^(?:https?:\/\/\S+)?\s*$/;

export class UrlFile {
  readonly #path: string;
  #text: string | null = null;

  /** Changes nothing. @throws ConfigError if the path holds something else than an address. */
  constructor(path: string) {
    this.#path = path;
    if (CONTENT.test(textOf(path) ?? '')) return;
    throw new ConfigError(`--url-file ${path} holds something else than an address, and is not replaced`);
  }

  /** Appears with all its text at once. @throws ConfigError if it cannot be written. */
  write(url: string): void {
    const unfinished = `${this.#path}.${process.pid}.new`;
    this.#attempt('written', () => {
      try {
        writeFileSync(unfinished, `${url}\n`, { flag: 'wx' });
        renameSync(unfinished, this.#path);
      } catch (error) {
        rmSync(unfinished, { force: true });
        throw error;
      }
    });
    this.#text = `${url}\n`;
  }

  /** Removes it if it still says what was written here. Never throws: at the end nobody could do anything about it. */
  remove(): void {
    try {
      if (this.#text !== null && textOf(this.#path) === this.#text) rmSync(this.#path);
    } catch {
      // The next start replaces it.
    }
    this.#text = null;
  }

  #attempt(what: string, work: () => void): void {
    try {
      work();
    } catch (cause) {
      const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
      throw new ConfigError(`--url-file ${this.#path} cannot be ${what}: ${code}`, { cause });
    }
  }
}

/** Null if there is no file. @throws ConfigError for what cannot be read as one. */
function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new ConfigError(`--url-file ${path} cannot be used: ${code}`, { cause });
  }
}
