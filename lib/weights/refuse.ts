import { CheckpointFormatError } from '../errors';

/** Throws what a damaged or foreign file is refused with: its path, then `why`. */
export function refuse(path: string, why: string, cause?: unknown): never {
  throw new CheckpointFormatError(`${path}: ${why}`, { cause });
}
