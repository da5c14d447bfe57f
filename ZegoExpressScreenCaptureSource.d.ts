import engine = require('./index');

/** Made by `createScreenCaptureSource` only; here for `instanceof` and for its type. */
declare const ZegoScreenCaptureSource: abstract new (...args: never[]) => engine.ZegoScreenCaptureSource;
type ZegoScreenCaptureSource = engine.ZegoScreenCaptureSource;

export = ZegoScreenCaptureSource;
