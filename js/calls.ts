import { firstMistake, type Argument } from './arguments';
import { ZegoError } from './errors';
import ErrorCode = require('./generated/error_codes');
import type { NativeEngine } from './generated/native';
import { settled } from './promises';
import type { Reporter } from './reporter';
import type { Answer, Requests } from './requests';

/** Runs the application's calls: checks their arguments and reports mistakes and refusals. */
export class Calls {
  /** The native part; present while there is an engine. */
  private native: NativeEngine | undefined;

  constructor(
    private readonly reporter: Reporter,
    private readonly requests: Requests,
  ) {}

  get hasEngine(): boolean {
    return this.native !== undefined;
  }

  setEngine(native: NativeEngine | undefined): void {
    this.native = native;
  }

  /** The native part. Throws without an engine, as every method but nine does. */
  demandEngine(method: string): NativeEngine {
    if (!this.native) throw ZegoError.withoutEngine(method);
    return this.native;
  }

  /** Runs a method of the engine; mistakes and refusals are reported by `onDebugError`, and then it returns undefined. */
  run<T>(method: string, args: readonly Argument[], action: (native: NativeEngine) => T): T | undefined {
    const native = this.demandEngine(method);
    return this.accepts(method, args) ? this.attempt(method, () => action(native)) : undefined;
  }

  /** Runs a method that returns a promise. */
  request(
    method: string,
    args: readonly Argument[],
    send: (native: NativeEngine, request: number) => void,
  ): Promise<Answer> {
    const native = this.demandEngine(method);
    return settled(() => {
      this.demand(method, args);
      return this.requests.send((request) => send(native, request));
    });
  }

  /** Runs an action; an exception is reported. */
  attempt<T>(method: string, action: () => T): T | undefined {
    try {
      return action();
    } catch (thrown) {
      this.reporter.reportThrown(method, thrown);
      return undefined;
    }
  }

  /** Whether the arguments have the right types. A mistake is reported, and thrown in strict mode. */
  accepts(method: string, args: readonly Argument[]): boolean {
    const mistake = firstMistake(args);
    if (mistake === undefined) return true;
    this.reporter.reportMisuse(ErrorCode.CommonIllegalParam, method, mistake);
    if (this.reporter.isStrict) throw new ZegoError(ErrorCode.CommonIllegalParam, `${method}: ${mistake}`);
    return false;
  }

  /** Reports and throws a mistake in the arguments. */
  demand(method: string, args: readonly Argument[]): void {
    const mistake = firstMistake(args);
    if (mistake === undefined) return;
    this.reporter.reportMisuse(ErrorCode.CommonIllegalParam, method, mistake);
    throw new ZegoError(ErrorCode.CommonIllegalParam, `${method}: ${mistake}`);
  }
}
