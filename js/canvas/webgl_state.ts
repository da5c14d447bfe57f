type GL = WebGLRenderingContext | WebGL2RenderingContext;

/** Restores one piece of a context's state. */
type Undo = () => void;

/** Runs `work` on a context in its initial state (texture unit 0, screen buffer), and restores the state. */
export function keepState(gl: GL, work: () => void): void {
  const undo = [...switches(gl), ...bindings(gl), ...values(gl)];
  try {
    work();
  } finally {
    // In reverse order: later values were saved under earlier bindings.
    for (const step of undo.reverse()) step();
  }
}

const isWebGL2 = (gl: GL): gl is WebGL2RenderingContext => 'bindVertexArray' in gl;

/** Tests and masks that would change or hide what is drawn. */
function switches(gl: GL): Undo[] {
  const tests: number[] = [gl.BLEND, gl.CULL_FACE, gl.DEPTH_TEST, gl.SCISSOR_TEST, gl.STENCIL_TEST, gl.SAMPLE_ALPHA_TO_COVERAGE];
  if (isWebGL2(gl)) tests.push(gl.RASTERIZER_DISCARD);
  const on = tests.filter((test) => gl.isEnabled(test));
  for (const test of on) gl.disable(test);
  const mask = gl.getParameter(gl.COLOR_WRITEMASK) as [boolean, boolean, boolean, boolean];
  gl.colorMask(true, true, true, true);
  return [() => on.forEach((test) => gl.enable(test)), () => gl.colorMask(...mask)];
}

function bindings(gl: GL): Undo[] {
  const undo: Undo[] = [];
  const program = gl.getParameter(gl.CURRENT_PROGRAM) as WebGLProgram | null;
  undo.push(() => gl.useProgram(program));
  if (isWebGL2(gl)) {
    const array = gl.getParameter(gl.VERTEX_ARRAY_BINDING) as WebGLVertexArrayObject | null;
    const unpack = gl.getParameter(gl.PIXEL_UNPACK_BUFFER_BINDING) as WebGLBuffer | null;
    const frame = gl.getParameter(gl.DRAW_FRAMEBUFFER_BINDING) as WebGLFramebuffer | null;
    undo.push(
      () => gl.bindVertexArray(array),
      () => gl.bindBuffer(gl.PIXEL_UNPACK_BUFFER, unpack),
      () => gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, frame),
    );
    gl.bindVertexArray(null);
    gl.bindBuffer(gl.PIXEL_UNPACK_BUFFER, null);
    gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, null);
  } else {
    const frame = gl.getParameter(gl.FRAMEBUFFER_BINDING) as WebGLFramebuffer | null;
    undo.push(() => gl.bindFramebuffer(gl.FRAMEBUFFER, frame));
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }
  const buffer = gl.getParameter(gl.ARRAY_BUFFER_BINDING) as WebGLBuffer | null;
  undo.push(() => gl.bindBuffer(gl.ARRAY_BUFFER, buffer), attribute(gl), texture(gl));
  return undo;
}

/** The first vertex attribute, of the array object that is bound now. */
function attribute(gl: GL): Undo {
  const read = (name: number): unknown => gl.getVertexAttrib(0, name);
  const isOn = read(gl.VERTEX_ATTRIB_ARRAY_ENABLED) as boolean;
  const buffer = read(gl.VERTEX_ATTRIB_ARRAY_BUFFER_BINDING) as WebGLBuffer | null;
  const [size, type] = [read(gl.VERTEX_ATTRIB_ARRAY_SIZE) as number, read(gl.VERTEX_ATTRIB_ARRAY_TYPE) as number];
  const normalized = read(gl.VERTEX_ATTRIB_ARRAY_NORMALIZED) as boolean;
  const stride = read(gl.VERTEX_ATTRIB_ARRAY_STRIDE) as number;
  const offset = gl.getVertexAttribOffset(0, gl.VERTEX_ATTRIB_ARRAY_POINTER);
  return () => {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.vertexAttribPointer(0, size, type, normalized, stride, buffer ? offset : 0);
    if (!isOn) gl.disableVertexAttribArray(0);
  };
}

/** The first texture unit, and which one was active. */
function texture(gl: GL): Undo {
  const unit = gl.getParameter(gl.ACTIVE_TEXTURE) as number;
  gl.activeTexture(gl.TEXTURE0);
  const bound = gl.getParameter(gl.TEXTURE_BINDING_2D) as WebGLTexture | null;
  const sampler = isWebGL2(gl) ? (gl.getParameter(gl.SAMPLER_BINDING) as WebGLSampler | null) : null;
  if (isWebGL2(gl)) gl.bindSampler(0, null);
  return () => {
    gl.bindTexture(gl.TEXTURE_2D, bound);
    if (isWebGL2(gl)) gl.bindSampler(0, sampler);
    gl.activeTexture(unit);
  };
}

/** Colours, sizes, and how pixels are unpacked. */
function values(gl: GL): Undo[] {
  const viewport = gl.getParameter(gl.VIEWPORT) as Int32Array;
  const colour = gl.getParameter(gl.COLOR_CLEAR_VALUE) as Float32Array;
  const undo: Undo[] = [
    () => gl.viewport(viewport[0] ?? 0, viewport[1] ?? 0, viewport[2] ?? 0, viewport[3] ?? 0),
    () => gl.clearColor(colour[0] ?? 0, colour[1] ?? 0, colour[2] ?? 0, colour[3] ?? 0),
  ];
  const flags = [gl.UNPACK_FLIP_Y_WEBGL, gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL];
  const lengths = isWebGL2(gl) ? [gl.UNPACK_ROW_LENGTH, gl.UNPACK_SKIP_ROWS, gl.UNPACK_SKIP_PIXELS] : [];
  for (const name of [...flags, ...lengths]) {
    const value = gl.getParameter(name) as number | boolean;
    gl.pixelStorei(name, 0);
    undo.push(() => gl.pixelStorei(name, value));
  }
  return undo;
}
