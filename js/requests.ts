import { ZegoError } from './errors';

/** What a promise method resolves with. */
export type Answer = Record<string, unknown>;

/** Name of the pseudo event by which the native part answers. */
const REPLY = '__reply';

/** Promise methods that wait for their answer. */
export class Requests {
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private next = 1;

  open(send: (request: number) => void): Promise<Answer> {
    const request = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(request, resolve);
      try {
        send(request);
      } catch (error) {
        this.waiting.delete(request);
        reject(ZegoError.fromNative(error));
      }
    });
  }

  /** Takes an event that is an answer. */
  answers(name: string, payload: unknown): boolean {
    if (name !== REPLY) return false;
    const { id, value } = payload as { id: number; value: Answer };
    this.waiting.get(id)?.(value);
    this.waiting.delete(id);
    return true;
  }

  /** The engine is gone: what still waits resolves with this. */
  abandon(answer: Answer): void {
    for (const resolve of this.waiting.values()) resolve(answer);
    this.waiting.clear();
  }
}
