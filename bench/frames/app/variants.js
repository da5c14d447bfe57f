// Variants of bringing frames from native threads onto canvases, with the same source, conversion and pacing; each is
// `start(native, views, canvas, name)` and gives { view, draw(slot), ring(width, height), poll(), stop() } or less.

const WIDTH = 1280;
const HEIGHT = 720;

/** Variants that copy draw on the same desynchronized 2D context as ours: only the path to it differs. */
function context2d(canvas) {
  Object.assign(canvas, { width: WIDTH, height: HEIGHT });
  return canvas.getContext('2d', { alpha: false, desynchronized: true });
}

function makeRing(native, view, width, height) {
  const slots = [0, 1, 2].map(() => new Uint8ClampedArray(width * height * 4));
  native.setViewRing(view, width, height, slots);
  return slots;
}

/** The product's own view, which scales down first when the tile is small. */
function ours(_native, views, canvas, name) {
  const view = views.open(name, { canvas }, true);
  return {
    view,
    draw: (slot) => views.draw(view, slot),
    ring: (width, height) => views.makeRing(view, width, height),
    stop: () => views.close(name),
  };
}

/** A new ArrayBuffer for every frame, as in addons that copy each frame. */
function newArrayBuffer(native, _views, canvas) {
  const context = context2d(canvas);
  const view = native.createView(WIDTH, HEIGHT, 0);
  let slots;
  return {
    view,
    draw: (slot) => context.putImageData(new ImageData(slots[slot].slice(), WIDTH, HEIGHT), 0, 0),
    ring: (width, height) => (slots = makeRing(native, view, width, height)),
    stop: () => native.closeView(view),
  };
}

/** Polled in requestAnimationFrame; the frame is converted into one array on the page's thread. */
function animationFramePoll(_native, _views, canvas) {
  const context = context2d(canvas);
  const image = new ImageData(WIDTH, HEIGHT);
  return {
    poll: (source) => {
      const waited = source.poll(image.data);
      if (waited < 0) return undefined;
      const start = performance.now();
      context.putImageData(image, 0, 0);
      return waited + performance.now() - start;
    },
    stop: () => {},
  };
}

const VERTEX = 'attribute vec2 at; varying vec2 uv; void main() { uv = vec2(at.x, 1.0 - at.y) * 0.5 + vec2(0.5, 0.0);' +
  ' gl_Position = vec4(at, 0.0, 1.0); }';
const FRAGMENT = 'precision mediump float; varying vec2 uv; uniform sampler2D frame;' +
  ' void main() { gl_FragColor = texture2D(frame, uv); }';

/** The whole frame uploaded by texImage2D inside the callback, the canvas sized to its box. */
function webglOneBuffer(native, _views, canvas) {
  Object.assign(canvas, { width: canvas.clientWidth, height: canvas.clientHeight });
  const gl = canvas.getContext('webgl', { antialias: false });
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  gl.useProgram(program);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
  gl.enableVertexAttribArray(0);
  gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  const view = native.createView(WIDTH, HEIGHT, 0);
  let slots;
  return {
    view,
    draw: (slot) => {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, WIDTH, HEIGHT, 0, gl.RGBA, gl.UNSIGNED_BYTE, slots[slot]);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
      gl.flush();
    },
    ring: (width, height) => {
      slots = makeRing(native, view, width, height).map((slot) => new Uint8Array(slot.buffer));
    },
    stop: () => {
      native.closeView(view);
      gl.getExtension('WEBGL_lose_context')?.loseContext();
    },
  };
}

window.VARIANTS = {
  ours,
  'new-array-buffer': newArrayBuffer,
  'animation-frame-poll': animationFramePoll,
  'webgl-one-buffer': webglOneBuffer,
};
window.FRAME_SIZE = [WIDTH, HEIGHT];
