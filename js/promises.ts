import { ZegoError } from './errors';

/** Runs at once; what is thrown becomes a rejection. */
export function settled<T>(run: () => T | Promise<T>): Promise<T> {
  try {
    return handled(Promise.resolve(run()));
  } catch (error) {
    return handled(Promise.reject(ZegoError.fromNative(error)));
  }
}

/** A promise that an application drops must not end its process; one that it awaits rejects all the same. */
export function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
