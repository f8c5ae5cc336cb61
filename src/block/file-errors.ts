import { BlockError, type BlockErrorCode } from './image.ts';

const CODES: Record<string, BlockErrorCode> = {
  ENOENT: 'image_not_found',
  ENOTDIR: 'image_not_found',
  EACCES: 'permission_denied',
  EPERM: 'permission_denied',
  EROFS: 'permission_denied',
  ENOSPC: 'no_space',
  EDQUOT: 'no_space',
  EFBIG: 'no_space',
};

/** What the operating system said about a file, as an error of an image. */
export function fileError(cause: unknown, path: string, doing: string): BlockError {
  if (cause instanceof BlockError) return cause;
  const name = (cause as NodeJS.ErrnoException | null)?.code ?? 'unknown error';
  return new BlockError(CODES[name] ?? 'image_io_error', `${path}: ${doing} failed: ${name}.`, { cause });
}
