import { fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { ConfigError, parseCount, readAssignments } from './flag-values.ts';

/* Inherited file descriptors, which --fd names for fd: addresses. */

const OWN_DESCRIPTORS = '/proc/self/fd';
const DESCRIPTOR_MAX = 2 ** 20;
/** Descriptors 0, 1 and 2 are the standard streams. */
const DESCRIPTOR_MIN = 3;

/** The values of --fd. @throws ConfigError if a descriptor is not open. */
export function readDescriptors(list: readonly string[]): ReadonlyMap<string, number> {
  const texts = readAssignments('--fd', list);
  const range = { min: DESCRIPTOR_MIN, max: DESCRIPTOR_MAX };
  return new Map(
    [...texts].map(([name, text]) => {
      const descriptor = parseCount(`--fd ${name}=`, text, range);
      if (!isOpen(descriptor)) throw new ConfigError(`--fd ${name}=${descriptor}: no such descriptor is open`);
      return [name, descriptor];
    }),
  );
}

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

/**
 * Checks that each descriptor of --fd was inherited. It has to run before this program opens a descriptor, since an inherited
 * descriptor cannot be distinguished from a descriptor of the program afterwards.
 *
 * Descriptors that Node has opened for itself lie between the inherited ones. The flag close-on-exec does not distinguish them,
 * since Node sets it on low numbers of both kinds. Node's own descriptors are event queues, counters and devices, which are
 * neither sockets nor pipes; pipes with both ends in this process; and the channel to a parent that is a Node process.
 * @throws ConfigError
 */
export function claimDescriptors(descriptors: ReadonlyMap<string, number>): void {
  const names = new Map<number, string>();
  for (const [name, descriptor] of descriptors) {
    const flag = `--fd ${name}=${descriptor}`;
    const earlier = names.get(descriptor);
    if (earlier !== undefined) throw new ConfigError(`${flag}: --fd ${earlier} names this descriptor already`);
    names.set(descriptor, name);
    const fault = faultOf(descriptor);
    if (fault !== null) throw new ConfigError(`${flag}: ${fault}`);
  }
}

/** Reason why a descriptor cannot be used; null if it can. */
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

/** True of an anonymous pipe whose other end is a descriptor of this process. */
function hasOtherEndHere(descriptor: number): boolean {
  const pipe = linkOf(String(descriptor));
  if (pipe === null || !pipe.startsWith('pipe:')) return false;
  const access = accessOf(String(descriptor));
  return readdirSync(OWN_DESCRIPTORS).some((other) => linkOf(other) === pipe && accessOf(other) !== access);
}

function linkOf(descriptor: string): string | null {
  try {
    return readlinkSync(`${OWN_DESCRIPTORS}/${descriptor}`);
  } catch {
    return null;
  }
}

/** Access mode of a descriptor (O_RDONLY, O_WRONLY or O_RDWR): the two lowest bits of its flags; null if not known. */
function accessOf(descriptor: string): number | null {
  try {
    const [, digit] = /^flags:\s*[0-7]*([0-7])$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')) ?? [];
    return digit === undefined ? null : Number(digit) & 3;
  } catch {
    return null;
  }
}
