import engine = require('./index');

/** Not built yet: `createMediaPlayer` gives null. Here for `instanceof` and for its type. */
declare const ZegoMediaPlayer: abstract new (...args: never[]) => engine.ZegoMediaPlayer;
type ZegoMediaPlayer = engine.ZegoMediaPlayer;

export = ZegoMediaPlayer;
