import engine = require('./index');

/** Not built yet: `createCopyrightedMusic` gives null. Here for `instanceof` and for its type. */
declare const ZegoCopyrightedMusic: abstract new (...args: never[]) => engine.ZegoCopyrightedMusic;
type ZegoCopyrightedMusic = engine.ZegoCopyrightedMusic;

export = ZegoCopyrightedMusic;
