import { ZegoError } from './errors';

/** The value that a promise method resolves with. */
export type Answer = Record<string, unknown>;

/** Name of the native part's event that carries a reply. */
const REPLY = '__reply';

/** Longest interval of a timer, in milliseconds. */
const MAX_INTERVAL_MS = 0x7fffffff;

/** Pending requests of promise methods. While there is one, a plain Node process stays alive. */
export class Requests {
  private readonly pending = new Map<number, (answer: Answer) => void>();
  private next = 1;
  private keepAlive: ReturnType<typeof setInterval> | undefined;

  /** Sends a request; the promise resolves with its reply. */
  send(send: (request: number) => void): Promise<Answer> {
    const request = this.next++;
    return new Promise((resolve, reject) => {
      this.pending.set(request, resolve);
      this.keepAlive ??= setInterval(() => undefined, MAX_INTERVAL_MS);
      try {
        send(request);
      } catch (error) {
        this.remove(request);
        reject(ZegoError.fromNative(error));
      }
    });
  }

  /** Handles an event if it is a reply. */
  handleReply(name: string, payload: unknown): boolean {
    if (name !== REPLY) return false;
    const { id, value } = payload as { id: number; value: Answer };
    this.pending.get(id)?.(value);
    this.remove(id);
    return true;
  }

  /** Resolves all pending requests with this answer. */
  resolveAll(answer: Answer): void {
    for (const [request, resolve] of this.pending) {
      resolve(answer);
      this.remove(request);
    }
  }

  private remove(request: number): void {
    this.pending.delete(request);
    if (this.pending.size > 0) return;
    clearInterval(this.keepAlive);
    this.keepAlive = undefined;
  }
}
