import { ZegoError } from './errors';

/** What a promise method resolves with. */
export type Answer = Record<string, unknown>;

/** Name of the pseudo event by which the native part answers. */
const REPLY = '__reply';

/** Longest interval a timer takes, in milliseconds. */
const FOREVER_MS = 0x7fffffff;

/** Promise methods that wait for their answer. While one waits, a plain Node process stays alive for it. */
export class Requests {
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private next = 1;
  private keepAlive: ReturnType<typeof setInterval> | undefined;

  open(send: (request: number) => void): Promise<Answer> {
    const request = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(request, resolve);
      this.keepAlive ??= setInterval(() => undefined, FOREVER_MS);
      try {
        send(request);
      } catch (error) {
        this.forget(request);
        reject(ZegoError.fromNative(error));
      }
    });
  }

  /** Takes an event that is an answer. */
  answers(name: string, payload: unknown): boolean {
    if (name !== REPLY) return false;
    const { id, value } = payload as { id: number; value: Answer };
    this.waiting.get(id)?.(value);
    this.forget(id);
    return true;
  }

  /** The engine is gone: what still waits resolves with this. */
  abandon(answer: Answer): void {
    for (const [request, resolve] of this.waiting) {
      resolve(answer);
      this.forget(request);
    }
  }

  private forget(request: number): void {
    this.waiting.delete(request);
    if (this.waiting.size > 0) return;
    clearInterval(this.keepAlive);
    this.keepAlive = undefined;
  }
}
