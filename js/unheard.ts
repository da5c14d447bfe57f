import { MEANINGS } from './generated/error_meanings';

/** Codes of ours, beside the vendor's. */
const OWN_MEANINGS: Readonly<Record<number, string>> = { 1004021: 'play retry gave up after the time limit' };
/** Events that tell the same: who listens to one of them has heard. */
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

/** What would else be known to nobody is said on the console, each thing once. */
export class Unheard {
  private readonly told = new Set<string>();

  constructor(private readonly listenerCount: (event: string) => number) {}

  /** Says it unless it was said under that key. */
  once(key: string, text: string): void {
    if (this.told.has(key)) return;
    this.told.add(key);
    this.say(text);
  }

  say(text: string): void {
    console.warn(`zego-express-engine-electron: ${text}`);
  }

  /** Says what an event without a listener tells, if that is a failure. */
  tell(event: string, payload: unknown): void {
    const { errorCode, funcName, info, roomID, streamID, extendedData } = payload as Failure;
    const twin = TWINS[event];
    if (!errorCode || (twin && this.listenerCount(twin) > 0)) return;
    if (funcName !== undefined) {
      this.once(funcName, `${funcName}: ${info ?? ''} (${errorCode})`);
      return;
    }
    const subject = roomID === undefined ? `stream "${streamID ?? ''}"` : `room "${roomID}"`;
    const meaning = MEANINGS[errorCode] ?? OWN_MEANINGS[errorCode] ?? 'failed';
    // Either twin stands for both.
    const key = `${twin && twin < event ? twin : event} ${errorCode}`;
    this.once(key, `${subject}: ${meaning} (${errorCode})${reasonIn(extendedData)}; nobody listens to ${event}`);
  }
}

/** The sentence that the engine puts beside a code. */
function reasonIn(extendedData: string | undefined): string {
  try {
    const { message } = JSON.parse(extendedData ?? '{}') as { message?: unknown };
    return typeof message === 'string' ? `: ${message}` : '';
  } catch {
    return '';
  }
}
