import type { Canvases } from './canvases';
import { restoreValues } from './event_values';
import type { FailureLog } from './failure_log';
import { deviceError } from './legacy';
import type { Parts } from './parts';
import type { Requests } from './requests';

/** Name of the native part's event that the engine has released a view. */
const VIEW_RELEASED = '__viewReleased';

type NamedEvent = readonly [name: string, payload: unknown];

/** Delivers the native part's events in order, to the engine's listeners and to the parts that need them. */
export class Events {
  private readonly queue: NamedEvent[] = [];

  constructor(
    private readonly emit: (event: string, payload: unknown) => boolean,
    private readonly requests: Requests,
    private readonly canvases: Canvases,
    private readonly parts: Parts,
    private readonly failures: FailureLog,
  ) {}

  /** Adds the native part's JSON text of events. */
  add(json: string): void {
    this.queue.push(...(JSON.parse(json) as NamedEvent[]));
  }

  /** Delivers all queued events. A listener that destroys the engine re-enters here for the rest. */
  deliver(): void {
    for (let next = this.queue.shift(); next; next = this.queue.shift()) this.deliverOne(...next);
  }

  private deliverOne(name: string, payload: unknown): void {
    if (name === VIEW_RELEASED) {
      this.canvases.release((payload as { view: number }).view);
      return;
    }
    if (this.requests.handleReply(name, payload)) return;
    restoreValues(name, payload);
    this.parts.screen.forwardEvent(name, payload);
    this.parts.engine.printEvent(name, payload);
    if (!this.emit(name, payload)) this.failures.report(name, payload);
    if (name === 'onLocalDeviceExceptionOccurred') this.emitDeviceError(payload);
  }

  /** Emits the older event for applications that still listen to it. */
  private emitDeviceError(payload: unknown): void {
    const isHandled = this.emit('onDeviceError', deviceError(payload));
    if (isHandled) this.failures.printReplaced('onDeviceError', 'onLocalDeviceExceptionOccurred');
  }
}
