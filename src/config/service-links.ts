/**
 * What Kubernetes sets in every pod for a Service whose name is `vmferry` or begins with `vmferry-`: `VMFERRY_SERVICE_HOST`,
 * `VMFERRY_SERVICE_PORT` and one for each named port, `VMFERRY_PORT` and, for each port, `VMFERRY_PORT_8080_TCP` and three
 * more.
 */
const SERVICE_LINK = /_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)_(?:PROTO|PORT|ADDR))$/;
/** The others of them have a value that nobody gives who wants to name a port. */
const SERVICE_LINK_URL = /_PORT(?:_\d+_(?:TCP|UDP|SCTP))?=(?:tcp|udp|sctp):\/\//;

/** True of an environment variable that Kubernetes has set, and not whoever started the service. */
export function isServiceLink(variable: string, value: string): boolean {
  return SERVICE_LINK.test(variable) || SERVICE_LINK_URL.test(`${variable}=${value}`);
}
