import { EventEmitter } from 'events';
import { ZegoError } from './errors';

/**
 * Classes of helper objects that are not built yet: here for `instanceof`, and so that their paths can be required.
 * The engine's `create…` methods give null in their place.
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

/** The vendor's drawer. Here the engine draws by itself: give `startPreview` or `startPlayingStream` a canvas. */
export class WebGLRender extends NotBuilt {}
