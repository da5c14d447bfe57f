import { ZegoError } from './errors';

/** Runs an action at once and turns an exception into a rejection. */
export function settled<T>(run: () => T | Promise<T>): Promise<T> {
  try {
    return handled(Promise.resolve(run()));
  } catch (error) {
    return handled(Promise.reject(ZegoError.fromNative(error)));
  }
}

/** Marks a promise as handled: ignoring its rejection must not end the process, awaiting it still rejects. */
export function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
