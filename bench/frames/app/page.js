// Measures one variant with a number of streams: thread time, delay, frames lost.
const { ipcRenderer } = window.require('electron');
const { readFileSync } = window.require('fs');
const { join } = window.require('path');
const { Views } = window.require(join(__dirname, '../../../dist/canvas/views.js'));

const FPS = 30;
const WARM_UP_MS = 800;
const MEASURE_MS = 2500;
const SETTLE_MS = 200;

const { NativeEngine, BenchSource } = window.require(
  join(__dirname, '../../../native-bench', `zego-express.${process.platform}-${process.arch}.node`),
);
const streams = new Map();
const native = new NativeEngine((view, slot, width, height) => {
  if (view === 0) return void setTimeout(() => native.resume(), 0);
  if (slot >= 0) return streams.get(view).draw(slot);
  return streams.get(view).ring(width, height);
});
const views = new Views(native);

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** Time that the page's main thread has run, in ms: a process's main thread bears its number. */
const mainMs = () => Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[0]) / 1e6;
const percentile = (values, part) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * part)] ?? NaN;
const sum = (values) => values.reduce((total, value) => total + value, 0);

async function totals(started) {
  const views = started.filter((it) => it.view).map((it) => JSON.parse(native.viewStats(it.view)));
  return {
    at: performance.now(),
    main: mainMs(),
    all: await ipcRenderer.invoke('cpu'),
    sent: sum(started.map((it) => it.source.sent)),
    drawn: sum(views.map((it) => it.drawn)) + sum(started.map((it) => it.polled ?? 0)),
    views,
  };
}

function start(variant, size, index, count) {
  const canvas = document.createElement('canvas');
  const tile = document.createElement('div');
  tile.className = size;
  tile.append(canvas);
  document.body.append(tile);
  const stream = window.VARIANTS[variant](native, views, canvas, `stream ${index}`);
  if (stream.view) streams.set(stream.view, stream);
  const source = new BenchSource(native, stream.view, ...window.FRAME_SIZE, FPS, index / count);
  return Object.assign(stream, { source, waits: [], polled: 0 });
}

/** Polling variants ask once per animation frame. */
function poll(started) {
  let handle = 0;
  const loop = () => {
    for (const stream of started) {
      const waited = stream.poll(stream.source);
      if (waited === undefined) continue;
      stream.polled++;
      stream.waits.push(waited);
    }
    handle = requestAnimationFrame(loop);
  };
  handle = requestAnimationFrame(loop);
  return () => cancelAnimationFrame(handle);
}

window.measure = async ({ variant, streams: count, size }) => {
  const started = Array.from({ length: count }, (_, index) => start(variant, size, index, count));
  const stopPolling = started[0].poll ? poll(started) : () => {};
  await sleep(WARM_UP_MS);
  started.forEach((it) => (it.waits.length = 0));
  const before = await totals(started);
  await sleep(MEASURE_MS);
  const after = await totals(started);
  stopPolling();
  for (const it of started) {
    it.source.stop();
    it.stop();
  }
  streams.clear();
  document.querySelectorAll('div').forEach((tile) => tile.remove());
  await sleep(SETTLE_MS);

  const time = after.at - before.at;
  const sent = after.sent - before.sent;
  const waits = started.flatMap((it) => it.waits);
  const ofViews = (name, part) => percentile(after.views.map((it) => it[name]), part);
  // A frame in flight when the counters are read is not lost: up to one per stream.
  const missing = Math.max(0, sent - (after.drawn - before.drawn) - count);
  return {
    variant,
    streams: count,
    size,
    mainLoadPercent: ((after.main - before.main) / time) * 100,
    allProcessesPercent: ((after.all - before.all) / time) * 100,
    readyToDrawnP50Ms: waits.length ? percentile(waits, 0.5) : ofViews('readyToDrawnMsP50', 0.5),
    readyToDrawnP95Ms: waits.length ? percentile(waits, 0.95) : ofViews('readyToDrawnMsP95', 0.5),
    framesLostPercent: (missing / sent) * 100,
  };
};
