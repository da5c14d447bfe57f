import engine = require('./index');

/** Made by `createScreenCaptureSource` only; here for `instanceof`. */
declare const ZegoScreenCaptureSource: abstract new (...args: never[]) => engine.ZegoScreenCaptureSource;

export = ZegoScreenCaptureSource;
