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

/** The reason in words, where users have something to do about it. */
const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left (ENOSPC)',
  EDQUOT: 'no space is left, the quota is used up (EDQUOT)',
  EFBIG: 'no space is left, the file may not grow any more (EFBIG)',
};

/** What the operating system said about a file, as an error of an image. */
export function fileError(cause: unknown, path: string, doing: string): BlockError {
  if (cause instanceof BlockError) return cause;
  const name = (cause as NodeJS.ErrnoException | null)?.code ?? 'unknown error';
  return new BlockError(CODES[name] ?? 'image_io_error', `${path}: ${doing} failed: ${REASONS[name] ?? name}.`, {
    cause,
  });
}
