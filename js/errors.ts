import ErrorCode = require('./generated/error_codes');

/** What methods throw or reject with: a documented number and a sentence. */
export class ZegoError extends Error {
  override readonly name = 'ZegoError';

  constructor(
    readonly code: number,
    message: string,
  ) {
    super(`${message} (${code})`);
  }

  /** From an error of the native part, whose message is `CODE: sentence`. */
  static fromNative(error: unknown): ZegoError {
    if (error instanceof ZegoError) return error;
    const text = error instanceof Error ? error.message : String(error);
    const parts = /^(\d{7}): (.*)$/s.exec(text);
    return parts ? new ZegoError(Number(parts[1]), parts[2] ?? '') : new ZegoError(ErrorCode.CommonIllegalParam, text);
  }

  static withoutEngine(method: string): ZegoError {
    return new ZegoError(ErrorCode.CommonEngineNotCreate, `${method}: call createEngine first`);
  }

  static notBuilt(method: string): ZegoError {
    return new ZegoError(ErrorCode.CommonSdkNoModule, `${method} is not built yet`);
  }
}
