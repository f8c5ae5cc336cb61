/* Why the HTTP listener could not be opened, and what to do about it. */

type Address = { readonly host: string; readonly port: number };

const PRIVILEGED_PORT_MAX = 1023;

/** The same error with a message that says what to do; `cause` is the one of Node. */
export function listenError(error: unknown, address: Address): unknown {
  const { code } = error as NodeJS.ErrnoException;
  const advice = adviceOn(code, address);
  if (advice === null) return error;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return new Error(`--http ${host}:${address.port} cannot be listened on: ${advice} (${code})`, { cause: error });
}

function adviceOn(code: string | undefined, { host, port }: Address): string | null {
  switch (code) {
    case 'EADDRINUSE':
      return `something else listens there. Stop it, or choose another port: --http ${host.includes(':') ? `[${host}]` : host}:0 picks a free one`;
    case 'EADDRNOTAVAIL':
      return `this host has no address ${host}. Choose one of its own, or 127.0.0.1`;
    case 'EACCES':
      return `ports up to ${PRIVILEGED_PORT_MAX} need a privilege. Choose a port above, not ${port}`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the name ${host} has no address here`;
    default:
      return null;
  }
}
