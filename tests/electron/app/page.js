// The frame path without an engine: views fed with prepared frames, driven by the tests.
const { join } = window.require('path');
const { Views } = window.require(join(__dirname, '../../../dist/canvas/views.js'));

const { NativeEngine, BenchSource } = window.require(
  join(__dirname, '../../../native-bench', `zego-express.${process.platform}-${process.arch}.node`),
);
const native = new NativeEngine((view, slot, width, height) => {
  if (view === 0) return void setTimeout(() => native.resume(), 0);
  if (slot >= 0) return window.views.draw(view, slot);
  return window.views.makeRing(view, width, height);
});

window.native = native;
window.views = new Views(native);
window.sources = new Map();

window.addCanvas = (id, { style = '', width, height } = {}) => {
  const canvas = document.createElement('canvas');
  canvas.id = id;
  if (style) canvas.setAttribute('style', style);
  if (width) canvas.setAttribute('width', width);
  if (height) canvas.setAttribute('height', height);
  document.body.append(canvas);
};

/** Draws a stream of plain frames on a canvas, given as an element or an ID; returns the view's number. */
window.show = (stream, canvas, options = {}) => {
  const { width = 640, height = 360, fps = 30, colour, ...look } = options;
  const target = typeof canvas === 'string' ? document.getElementById(canvas) : canvas;
  const view = window.views.open(stream, { canvas: target, ...look }, true);
  window.sources.get(stream)?.stop();
  window.sources.set(stream, new BenchSource(native, view, width, height, fps, 0, colour));
  return view;
};

window.hide = (stream) => {
  window.sources.get(stream)?.stop();
  window.sources.delete(stream);
  window.views.close(stream);
};

window.pixel = (canvasId, x, y) => {
  const canvas = document.getElementById(canvasId);
  return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data];
};
