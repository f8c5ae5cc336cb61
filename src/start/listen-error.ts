/* Advice on errors of the HTTP listener. */

type Address = { readonly host: string; readonly port: number };

const PRIVILEGED_PORT_MAX = 1023;

/** Adds advice to an error of `listen`; `cause` is the error of Node. Other errors are returned unchanged. */
export function listenError(error: unknown, address: Address): unknown {
  const { code } = error as NodeJS.ErrnoException;
  const advice = adviceOn(code, address);
  if (advice === null) return error;
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return new Error(`--http ${host}:${address.port} cannot be used: ${advice} (${code})`, { cause: error });
}

function adviceOn(code: string | undefined, { host, port }: Address): string | null {
  switch (code) {
    case 'EADDRINUSE':
      return `another program listens there. Stop it, or choose another port: --http ${host.includes(':') ? `[${host}]` : host}:0 chooses a free one`;
    case 'EADDRNOTAVAIL':
      return `this host does not have the address ${host}. Choose an address of this host, or 127.0.0.1`;
    case 'EACCES':
      return `ports up to ${PRIVILEGED_PORT_MAX} need a privilege. Choose a higher port than ${port}`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `the host name ${host} cannot be resolved`;
    default:
      return null;
  }
}
