import { EngineAccepted } from './engine_accepted';
import { ZegoError } from './errors';
import ErrorCode = require('./generated/error_codes');
import { METHODS_TO_COME, type Answer } from './generated/methods';
import { handled } from './promises';

const NOT_BUILT = ErrorCode.CommonSdkNoModule;
/** Calls that end something: here nothing has begun. */
const ENDS = /^(stop|destroy|unregister|remove)/;
/** Settings that leave everything as it is while this argument of theirs is null, empty or 0. */
const NOTHING_WITHOUT: Readonly<Record<string, number>> = {
  setAudioEqualizerGain: 1,
  setDummyCaptureImagePath: 0,
  setPlayStreamDecryptionKey: 1,
  setPublishStreamEncryptionKey: 0,
  setPublishWatermark: 0,
  setReverbPreset: 0,
  setVoiceChangerPreset: 0,
};

/** Whether a call asks for what is so already. */
function asksForNothing(method: string, args: readonly unknown[]): boolean {
  if (method.startsWith('enable')) return args[0] === false;
  const deciding = NOTHING_WITHOUT[method];
  return ENDS.test(method) || (deciding !== undefined && !args[deciding]);
}

/**
 * The calls that are not built. An application that makes one runs on: it is told by `onDebugError` with code 1000010,
 * once for each method, and by what the call gives back. A call that ends or switches off what never began does nothing.
 */
export abstract class EngineMissing extends EngineAccepted {
  private readonly reported = new Set<string>();

  /** Throws without an engine. */
  protected abstract demandEngine(method: string): unknown;

  protected abstract reportMisuse(errorCode: number, funcName: string, info: string): void;

  /** Whether the application wants exceptions. */
  protected abstract get isStrict(): boolean;

  /** Tells once for each subject that it is not built. */
  protected override reportMissing(method: string, subject = method): void {
    if (this.reported.has(subject)) return;
    this.reported.add(subject);
    this.reportMisuse(NOT_BUILT, method, `${subject} is not built yet`);
  }

  protected forgetMissing(): void {
    this.reported.clear();
  }

  private answerMissing(method: string, answer: Answer, args: readonly unknown[]): unknown {
    this.demandEngine(method);
    if (this.isStrict) {
      const error = ZegoError.notBuilt(method);
      if (answer === 'promise') return handled(Promise.reject(error));
      throw error;
    }
    if (!asksForNothing(method, args)) this.reportMissing(method);
    switch (answer) {
      case 'promise':
        // Only the start of a mixer gives more than the code.
        return Promise.resolve({ errorCode: NOT_BUILT, ...(/^start.*Mixer/.test(method) ? { extendedData: '' } : {}) });
      case 'object':
        return null;
      case 'number':
        // Error codes, but for addresses of native plug-ins: there is none.
        return method.startsWith('get') ? 0 : NOT_BUILT;
      case 'nothing':
        return undefined;
    }
  }

  static {
    for (const [name, answer] of METHODS_TO_COME) {
      const value = function (this: EngineMissing, ...args: unknown[]): unknown {
        return this.answerMissing(name, answer, args);
      };
      Object.defineProperty(this.prototype, name, { configurable: true, writable: true, value });
    }
  }
}
