// Compiled, never run: the implementation matches the published types.
import type { EventEmitter } from 'events';
import type api = require('../../index');
import { ZegoExpressEngine } from '../../js/engine';
import { ZegoScreenCaptureSource } from '../../js/screen_capture_source';

/** What a promise resolves with comes from the native part. */
type Answers<F> = F extends (...args: infer A) => Promise<unknown> ? (...args: A) => Promise<unknown> : F;
type Common<Said, Built> = {
  [K in Exclude<Extract<keyof Said, keyof Built>, keyof EventEmitter>]: Answers<Said[K]>;
};

declare const engine: ZegoExpressEngine;
declare const source: ZegoScreenCaptureSource;

export const typed: Common<api.ZegoExpressEngine, ZegoExpressEngine> = engine;
export const typedSource: Common<api.ZegoScreenCaptureSource, ZegoScreenCaptureSource> = source;
