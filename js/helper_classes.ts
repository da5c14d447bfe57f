import { EventEmitter } from 'events';
import { ZegoError } from './errors';

/**
 * Base of the helper classes that are not built yet. They exist for `instanceof` and for their paths; the engine's
 * `create…` methods return null.
 */
abstract class NotBuilt extends EventEmitter {
  constructor() {
    super();
    throw ZegoError.notBuilt(new.target.name);
  }
}

export class ZegoMediaPlayer extends NotBuilt {}
export class ZegoAudioEffectPlayer extends NotBuilt {}
export class ZegoCopyrightedMusic extends NotBuilt {}

/** The vendor's renderer. Here `startPreview` and `startPlayingStream` draw on a canvas themselves. */
export class WebGLRender extends NotBuilt {}
