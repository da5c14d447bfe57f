import type { Calls } from './calls';
import { ZegoError } from './errors';
import ErrorCode = require('./generated/error_codes');
import { handled } from './promises';
import type { Reporter } from './reporter';

/** The kind of value that a method returns. */
export type AnswerKind = 'promise' | 'object' | 'number' | 'nothing';

const NOT_BUILT = ErrorCode.CommonSdkNoModule;
/** Calls that end something: nothing has started here. */
const ENDS = /^(stop|destroy|unregister|remove)/;
/** Settings that change nothing while this argument is null, empty or 0. */
const DECIDING_ARGUMENT: Readonly<Record<string, number>> = {
  setAudioEqualizerGain: 1,
  setDummyCaptureImagePath: 0,
  setPlayStreamDecryptionKey: 1,
  setPublishStreamEncryptionKey: 0,
  setPublishWatermark: 0,
  setReverbPreset: 0,
  setVoiceChangerPreset: 0,
};

/** Whether a call changes nothing, such as `stop…` and `enable…(false)`. */
function changesNothing(method: string, args: readonly unknown[]): boolean {
  if (method.startsWith('enable')) return args[0] === false;
  const deciding = DECIDING_ARGUMENT[method];
  return ENDS.test(method) || (deciding !== undefined && !args[deciding]);
}

/**
 * Answers the calls that are not built, so that an application that makes one keeps running: each is reported once by
 * `onDebugError` with code 1000010, and returns that code where one is expected. In strict mode they throw.
 */
export class Missing {
  constructor(
    private readonly calls: Calls,
    private readonly reporter: Reporter,
  ) {}

  answer(method: string, kind: AnswerKind, args: readonly unknown[]): unknown {
    this.calls.demandEngine(method);
    if (this.reporter.isStrict) {
      const error = ZegoError.notBuilt(method);
      if (kind === 'promise') return handled(Promise.reject(error));
      throw error;
    }
    if (!changesNothing(method, args)) this.reporter.reportMissing(method);
    switch (kind) {
      case 'promise':
        // Only the start of a mixer resolves with more than the code.
        return Promise.resolve({ errorCode: NOT_BUILT, ...(/^start.*Mixer/.test(method) ? { extendedData: '' } : {}) });
      case 'object':
        return null;
      case 'number':
        // Error codes, but for addresses of native plug-ins, of which there are none.
        return method.startsWith('get') ? 0 : NOT_BUILT;
      case 'nothing':
        return undefined;
    }
  }
}
