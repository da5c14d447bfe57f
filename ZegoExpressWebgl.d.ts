/** The vendor's drawer, not built here: the engine draws by itself on the canvas that it is given. */
declare const WebGLRender: abstract new (...args: never[]) => object;

export = WebGLRender;
