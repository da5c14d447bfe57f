import type { Brush } from './painter';
import { keepState } from './webgl_state';

type GL = WebGLRenderingContext | WebGL2RenderingContext;

const VERTEX = `
attribute vec2 corner;
varying vec2 place;
void main() {
  place = vec2(corner.x, 1.0 - corner.y);
  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}`;
const FRAGMENT = `
precision mediump float;
uniform sampler2D frame;
varying vec2 place;
void main() {
  gl_FragColor = vec4(texture2D(frame, place).rgb, 1.0);
}`;
const CORNERS = new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]);

interface Tools {
  program: WebGLProgram;
  corners: WebGLBuffer;
  texture: WebGLTexture;
}

/**
 * Draws frames by a WebGL context that the application created on its canvas, and preserves the context's state. With a
 * context without `preserveDrawingBuffer` the canvas is empty when it is read after painting.
 */
export class CanvasWebGL implements Brush {
  private tools: Tools | undefined;
  private colour: [number, number, number] = [0, 0, 0];
  private readonly onLost = () => (this.tools = undefined);

  constructor(private readonly gl: GL) {
    gl.canvas.addEventListener('webglcontextlost', this.onLost);
  }

  /** Undefined if the canvas has no WebGL context. One without any context would get one, so 2D must be tried first. */
  static on(canvas: HTMLCanvasElement): CanvasWebGL | undefined {
    const gl = canvas.getContext('webgl2') ?? canvas.getContext('webgl');
    return gl ? new CanvasWebGL(gl) : undefined;
  }

  prepare(colour: string): void {
    const value = Number.parseInt(colour.slice(1), 16);
    this.colour = [(value >> 16) / 255, ((value >> 8) & 0xff) / 255, (value & 0xff) / 255];
  }

  put(image: ImageData, x: number, y: number): void {
    const { gl } = this;
    if (gl.isContextLost()) return;
    const { width, height, data } = image;
    const { canvas } = gl;
    keepState(gl, () => {
      this.tools ??= makeTools(gl);
      if (!this.tools) return;
      gl.bindTexture(gl.TEXTURE_2D, this.tools.texture);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, width, height, 0, gl.RGBA, gl.UNSIGNED_BYTE, data);
      this.draw(this.tools, [x, canvas.height - y - height, width, height]);
    });
  }

  keep(wipe: () => boolean): void {
    const { gl } = this;
    gl.canvas.removeEventListener('webglcontextlost', this.onLost);
    const { width, height } = gl.canvas;
    const [left, bottom, across, up] = this.area;
    const wiped = wipe();
    const { tools } = this;
    if (!tools || gl.isContextLost()) return;
    const [x, y] = [gl.canvas.width / width, gl.canvas.height / height];
    if (wiped) {
      keepState(gl, () => {
        gl.bindTexture(gl.TEXTURE_2D, tools.texture);
        this.draw(tools, [left * x, bottom * y, across * x, up * y]);
      });
    }
    gl.deleteTexture(tools.texture);
    gl.deleteBuffer(tools.corners);
    gl.deleteProgram(tools.program);
    this.tools = undefined;
  }

  /** Area of the last frame: left, bottom, width, height. */
  private area: [number, number, number, number] = [0, 0, 0, 0];

  private draw({ program, corners }: Tools, area: [number, number, number, number]): void {
    const { gl } = this;
    this.area = area;
    gl.clearColor(...this.colour, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.viewport(...area);
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, corners);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }
}

function makeTools(gl: GL): Tools | undefined {
  const [program, corners, texture] = [gl.createProgram(), gl.createBuffer(), gl.createTexture()];
  if (!program || !corners || !texture) return undefined;
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(kind);
    if (!shader) return undefined;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    // The program keeps it.
    gl.deleteShader(shader);
  }
  gl.bindAttribLocation(program, 0, 'corner');
  gl.linkProgram(program);
  gl.bindBuffer(gl.ARRAY_BUFFER, corners);
  gl.bufferData(gl.ARRAY_BUFFER, CORNERS, gl.STATIC_DRAW);
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const side of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, side, gl.CLAMP_TO_EDGE);
  for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.LINEAR);
  return { program, corners, texture };
}
