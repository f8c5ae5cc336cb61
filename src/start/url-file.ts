import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { ConfigError } from '../config/flag-values.ts';

/*
 * The file of --url-file, which holds the address of the HTTP listener for clients.
 *
 * The file is written when the service listens and removed at the end. A file that a killed service has left is replaced
 * when the service listens, and not earlier, so that a service that cannot start does not remove the file of a running one.
 * A file with other content is never replaced.
 */

/** Valid content of the file: an address on one line, or nothing. */
const CONTENT = /^(?:https?:\/\/\S+)?\s*$/;

export class UrlFile {
  readonly #path: string;
  #text: string | null = null;

  /** Only checks the file. @throws ConfigError if it has other content than an address. */
  constructor(path: string) {
    this.#path = path;
    if (CONTENT.test(textOf(path) ?? '')) return;
    throw new ConfigError(`--url-file ${path} contains something other than an address and is not replaced`);
  }

  /** Writes the file atomically. @throws ConfigError if it cannot be written. */
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

  /** Removes the file unless another process has changed it. Never throws. */
  remove(): void {
    try {
      if (this.#text !== null && textOf(this.#path) === this.#text) rmSync(this.#path);
    } catch {
      // The next start replaces the file.
    }
    this.#text = null;
  }

  #attempt(operation: string, work: () => void): void {
    try {
      work();
    } catch (cause) {
      const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
      throw new ConfigError(`--url-file ${this.#path} cannot be ${operation}: ${code}`, { cause });
    }
  }
}

/** Content of the file; null if there is none. @throws ConfigError if it cannot be read. */
function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code = 'unknown error' } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new ConfigError(`--url-file ${path} cannot be used: ${code}`, { cause });
  }
}
