import engine = require('./index');

/** Not built yet: `createAudioEffectPlayer` gives null. Here for `instanceof` and for its type. */
declare const ZegoAudioEffectPlayer: abstract new (...args: never[]) => engine.ZegoAudioEffectPlayer;
type ZegoAudioEffectPlayer = engine.ZegoAudioEffectPlayer;

export = ZegoAudioEffectPlayer;
