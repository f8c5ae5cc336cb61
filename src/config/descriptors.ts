import { fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { ConfigError } from './flag-values.ts';

const OWN = '/proc/self/fd';

/**
 * Checks that each of the descriptors that --fd names was given to this process. To be called before anything but Node
 * itself has opened any: from then on their numbers are taken, and nothing else gets them.
 *
 * What Node opens for itself lies among the inherited ones, and the flag close-on-exec does not tell them apart, since Node
 * sets it on the low numbers of both. But Node has event queues, counters and devices, which no stream goes through, pipes
 * with both ends here, and the channel to a parent that is a Node.
 * @throws ConfigError
 */
export function claimDescriptors(descriptors: ReadonlyMap<string, number>): void {
  const names = new Map<number, string>();
  for (const [name, descriptor] of descriptors) {
    const flag = `--fd ${name}=${descriptor}`;
    const twice = names.get(descriptor);
    if (twice !== undefined) throw new ConfigError(`${flag}: --fd ${twice} names this descriptor already`);
    names.set(descriptor, name);
    const fault = faultOf(descriptor);
    if (fault !== null) throw new ConfigError(`${flag}: ${fault}`);
  }
}

function faultOf(descriptor: number): string | null {
  const found = fstatSync(descriptor);
  if (!found.isSocket() && !found.isFIFO()) return 'it is neither a socket nor a pipe';
  if ((process.channel as { readonly fd?: number } | undefined)?.fd === descriptor)
    return "it is Node's own channel to its parent";
  if (found.isFIFO() && hasOtherEndHere(descriptor)) {
    return "both ends of this pipe are in this process: it is one of Node's own, or would never end";
  }
  return null;
}

/** True of a pipe without a name of which another descriptor of this process is the other end. */
function hasOtherEndHere(descriptor: number): boolean {
  const pipe = linkOf(String(descriptor));
  if (pipe === null || !pipe.startsWith('pipe:')) return false;
  const access = accessOf(String(descriptor));
  return readdirSync(OWN).some((other) => linkOf(other) === pipe && accessOf(other) !== access);
}

function linkOf(descriptor: string): string | null {
  try {
    return readlinkSync(`${OWN}/${descriptor}`);
  } catch {
    return null;
  }
}

/** Whether it is for reading, writing or both: the last octal digit of its flags, without what else is in it. */
function accessOf(descriptor: string): number | null {
  try {
    const [, digit] = /^flags:\s*[0-7]*([0-7])$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')) ?? [];
    return digit === undefined ? null : Number(digit) & 3;
  } catch {
    return null;
  }
}
