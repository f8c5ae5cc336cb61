import { ConfigError } from './flag-values.ts';

/** Every origin; only where a page needs a token, too. */
export const ANY_ORIGIN = '*';

/**
 * Web origins whose pages may use the API, as browsers write them. `*` is for services with tokens: without them every
 * page that someone on this host looks at could use the machine.
 */
export function parseOrigins(list: readonly string[], hasTokens: boolean): readonly string[] {
  if (list.includes(ANY_ORIGIN) && !hasTokens) {
    throw new ConfigError('--allow-origin * would let every web page use the machine; it needs --token-file');
  }
  return [...new Set(list.map((text) => (text === ANY_ORIGIN ? text : parseOrigin(text))))];
}

function parseOrigin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isWeb = url !== null && (url.protocol === 'http:' || url.protocol === 'https:');
  // An origin has nothing behind its port: no path, no query, and not even the slash that a URL would have there.
  if (isWeb && /^https?:\/\/[^/?#@\\\s]+$/i.test(text) && url.host !== '' && !url.host.includes('*')) return url.origin;
  throw new ConfigError(
    `--allow-origin must be * or an origin such as https://dashboard.example or http://localhost:3000, without a path, not "${text}"`,
  );
}
