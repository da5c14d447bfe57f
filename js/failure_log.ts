import { MEANINGS } from './generated/error_meanings';

/** Our own codes, beside the vendor's. */
const OWN_MEANINGS: Readonly<Record<number, string>> = { 1004021: 'play retry gave up after the time limit' };
/** Events that report the same: a listener of either is enough. */
const TWINS: Readonly<Record<string, string>> = {
  onRoomStateChanged: 'onRoomStateUpdate',
  onRoomStateUpdate: 'onRoomStateChanged',
};

interface Failure {
  errorCode?: number;
  funcName?: string;
  info?: string;
  roomID?: string;
  streamID?: string;
  extendedData?: string;
}

/** Prints failures without a listener on the console, each once. */
export class FailureLog {
  private readonly printed = new Set<string>();

  constructor(private readonly listenerCount: (event: string) => number) {}

  /** Prints a text unless one was printed under that key. */
  printOnce(key: string, text: string): void {
    if (this.printed.has(key)) return;
    this.printed.add(key);
    this.print(text);
  }

  /** Prints once that a name of an older version was replaced. */
  printReplaced(name: string, replacement: string): void {
    this.printOnce(name, `${name} is of an older version; it is ${replacement} now`);
  }

  print(text: string): void {
    console.warn(`zego-express-engine-electron: ${text}`);
  }

  /** Prints an event that has no listener, if it reports a failure. */
  report(event: string, payload: unknown): void {
    const { errorCode, funcName, info, roomID, streamID, extendedData } = payload as Failure;
    const twin = TWINS[event];
    if (!errorCode || (twin && this.listenerCount(twin) > 0)) return;
    if (funcName !== undefined) {
      this.printOnce(funcName, `${funcName}: ${info ?? ''} (${errorCode})`);
      return;
    }
    const subject = roomID === undefined ? `stream "${streamID ?? ''}"` : `room "${roomID}"`;
    const meaning = MEANINGS[errorCode] ?? OWN_MEANINGS[errorCode] ?? 'failed';
    // One key for both twins.
    const key = `${twin && twin < event ? twin : event} ${errorCode}`;
    this.printOnce(key, `${subject}: ${meaning} (${errorCode})${reasonIn(extendedData)}; there is no listener for ${event}`);
  }
}

/** The engine's explanation of a code. */
function reasonIn(extendedData: string | undefined): string {
  try {
    const { message } = JSON.parse(extendedData ?? '{}') as { message?: unknown };
    return typeof message === 'string' ? `: ${message}` : '';
  } catch {
    return '';
  }
}
