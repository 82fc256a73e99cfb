import { ArgumentError } from '../errors';

/** What was typed makes no sense, as only a command can see: exit code 2. */
export class UsageError extends ArgumentError {}

/** @throws `cause`: an ArgumentError as a UsageError, where what threw it was given nothing but what was typed. */
export function refuseTyped(cause: unknown): never {
  throw cause instanceof ArgumentError ? new UsageError(cause.message, { cause }) : cause;
}
