import { ZegoError } from './errors';
import type { FailureLog } from './failure_log';
import ErrorCode = require('./generated/error_codes');
import type { Settings } from './settings';

/** Reports mistakes and missing features by `onDebugError`. */
export class Reporter {
  /** Whether mistakes and events are printed on the console. */
  debugAssistant = false;
  private readonly reportedMissing = new Set<string>();

  constructor(
    private readonly emit: (event: string, payload: unknown) => boolean,
    private readonly failures: FailureLog,
    private readonly settings: Settings,
  ) {}

  /** Whether the application asked for exceptions. */
  get isStrict(): boolean {
    return this.settings.isStrict;
  }

  /** Reports a mistake. The vendor's documents call the text both `info` and `errorInfo`, so it is in both. */
  reportMisuse(errorCode: number, funcName: string, info: string): void {
    const error = { errorCode, funcName, info, errorInfo: info };
    const isHandled = this.emit('onDebugError', error);
    if (this.debugAssistant) this.failures.print(`${funcName}: ${info} (${errorCode})`);
    else if (!isHandled) this.failures.report('onDebugError', error);
  }

  /** Reports what a call threw. */
  reportThrown(method: string, thrown: unknown): void {
    const error = ZegoError.fromNative(thrown);
    this.reportMisuse(error.code, method, error.message);
  }

  /** Reports once for each subject that it is not built. */
  reportMissing(method: string, subject = method): void {
    if (this.reportedMissing.has(subject)) return;
    this.reportedMissing.add(subject);
    this.reportMisuse(ErrorCode.CommonSdkNoModule, method, `${subject} is not built yet`);
  }

  /** Forgets everything about the engine that was destroyed. */
  reset(): void {
    this.reportedMissing.clear();
    this.debugAssistant = false;
  }
}
