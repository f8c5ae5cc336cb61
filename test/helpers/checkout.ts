// This checkout for other users: a repository to clone, and an npm that uses no network if possible.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { temporaryDirectory } from './app.ts';

const ROOT = join(import.meta.dirname, '..', '..');

/** A repository with the files of this checkout as they are now, committed or not. */
export function repositoryOfThisCheckout(): string {
  const directory = temporaryDirectory();
  const git = (cwd: string, ...words: string[]): string => execFileSync('git', words, { cwd, encoding: 'utf8' });
  const listed = git(ROOT, 'ls-files', '--cached', '--others', '--exclude-standard', '-z');
  for (const path of listed.split('\0').filter((name) => name !== '' && existsSync(join(ROOT, name)))) {
    cpSync(join(ROOT, path), join(directory, path));
  }
  git(directory, 'init', '--quiet');
  git(directory, 'add', '--all');
  const author = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
  git(directory, ...author, 'commit', '--quiet', '--message', 'test: this checkout');
  return directory;
}

/** Variables that give the system's npm its own settings and cache, whatever HOME is. Packages come from the cache first. */
export function npmSettings(): Record<string, string> {
  const settingOf = (name: string): string =>
    execFileSync('npm', ['config', 'get', name], { cwd: tmpdir(), encoding: 'utf8' }).trim();
  return {
    npm_config_cache: settingOf('cache'),
    npm_config_userconfig: settingOf('userconfig'),
    npm_config_prefer_offline: 'true',
  };
}
