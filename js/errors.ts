import ErrorCode = require('./generated/error_codes');

/** The error that methods throw or reject with: a documented code and a sentence. */
export class ZegoError extends Error {
  override readonly name = 'ZegoError';

  constructor(
    readonly code: number,
    sentence: string,
  ) {
    super(`${sentence} (${code})`);
  }

  /** Converts an error of the native part, which carries its code as a number. */
  static fromNative(error: unknown): ZegoError {
    if (error instanceof ZegoError) return error;
    const { code } = (error ?? {}) as { code?: unknown };
    const sentence = error instanceof Error ? error.message : String(error);
    return new ZegoError(typeof code === 'number' ? code : ErrorCode.CommonIllegalParam, sentence);
  }

  static withoutEngine(method: string): ZegoError {
    return new ZegoError(ErrorCode.CommonEngineNotCreate, `${method}: call createEngine first`);
  }

  static notBuilt(method: string): ZegoError {
    return new ZegoError(ErrorCode.CommonSdkNoModule, `${method} is not built yet`);
  }
}
