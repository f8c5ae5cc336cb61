import { StreamError } from './byte-reader.ts';

/** Each further channel of multifd begins with these four bytes. */
export const MULTIFD_MAGIC = 0x11223344;

/** The sender has multifd on, which vmferry does not have. `sign`: where the stream shows that. */
export function multifdDiffers(sign: string): StreamError {
  return new StreamError(
    'capability_differs',
    `the sender has multifd on, which is not available here: switch it off there (${sign})`,
  );
}
