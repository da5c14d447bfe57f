import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { ORANGE, ORANGE_RGB, TEAL, TEAL_RGB, eventually, launch, near, shownColour } from './harness.mjs';

let app;
let page;

before(async () => {
  app = await launch();
  page = await app.firstWindow();
});

after(() => app?.close());

beforeEach(async () => {
  await page.reload();
});

const shows = (x, y, expected) => eventually(() => shownColour(app, page, x, y), near(expected));

async function show(stream, canvas, options) {
  return page.evaluate(([stream, canvas, options]) => window.show(stream, canvas, options), [stream, canvas, options]);
}

async function addCanvas(id, options) {
  await page.evaluate(([id, options]) => window.addCanvas(id, options), [id, options]);
}

const box = (id) => page.evaluate((id) => document.getElementById(id).getBoundingClientRect().toJSON(), id);
const attributes = (id) => page.evaluate((id) => document.getElementById(id).outerHTML, id);

test('a frame has its colours, on the screen and in the canvas', async () => {
  await addCanvas('c', { style: 'width: 640px; height: 360px' });
  await show('s', 'c', { colour: ORANGE });
  await shows(320, 180, ORANGE_RGB);
  await eventually(() => page.evaluate(() => window.pixel('c', 5, 5)), near(ORANGE_RGB));
});

test('AspectFit leaves bars in the background colour', async () => {
  await addCanvas('c', { style: 'width: 400px; height: 400px' });
  await show('s', 'c', { colour: ORANGE, backgroundColor: TEAL });
  await shows(200, 200, ORANGE_RGB);
  await shows(200, 20, TEAL_RGB);
  await shows(200, 380, TEAL_RGB);
});

test('AspectFill and ScaleToFill leave no bars', async () => {
  await addCanvas('c', { style: 'width: 400px; height: 400px' });
  for (const viewMode of [1, 2]) {
    await show('s', 'c', { colour: ORANGE, backgroundColor: TEAL, viewMode });
    await shows(200, 8, ORANGE_RGB);
    await shows(8, 200, ORANGE_RGB);
  }
});

test('a canvas sized by its attributes alone keeps its box', async () => {
  await addCanvas('c', { width: 300, height: 200 });
  const before = await box('c');
  await show('s', 'c', { colour: ORANGE, width: 1280, height: 720 });
  await shows(150, 100, ORANGE_RGB);
  assert.deepEqual(await box('c'), before);
});

test('a canvas with a width in CSS alone keeps its box', async () => {
  await addCanvas('c', { style: 'width: 500px', width: 300, height: 200 });
  const before = await box('c');
  await show('s', 'c', { colour: ORANGE, width: 1280, height: 720 });
  await shows(250, 170, ORANGE_RGB);
  assert.deepEqual(await box('c'), before);
});

test('stopping restores styles and attributes and leaves the last frame', async () => {
  await addCanvas('c', { style: 'width: 320px; height: 180px; object-fit: none;', width: 111, height: 77 });
  const before = await attributes('c');
  await show('s', 'c', { colour: ORANGE, backgroundColor: TEAL, viewMode: 1 });
  await shows(160, 90, ORANGE_RGB);
  await page.evaluate(() => window.hide('s'));
  assert.equal(await attributes('c'), before);
  await eventually(() => page.evaluate(() => window.pixel('c', 5, 5)), near(ORANGE_RGB));
});

test('a canvas without attributes has none again after stopping', async () => {
  await addCanvas('c');
  const before = await attributes('c');
  await show('s', 'c', { colour: ORANGE });
  await shows(150, 75, ORANGE_RGB);
  await page.evaluate(() => window.hide('s'));
  assert.equal(await attributes('c'), before);
});

test('a style that the application changed in the meantime stays', async () => {
  await addCanvas('c', { style: 'width: 320px; height: 180px' });
  await show('s', 'c', { colour: ORANGE });
  await shows(160, 90, ORANGE_RGB);
  await page.evaluate(() => (document.getElementById('c').style.objectFit = 'none'));
  await page.evaluate(() => window.hide('s'));
  assert.equal(await page.evaluate(() => document.getElementById('c').style.objectFit), 'none');
});

test('a stream moves to another canvas', async () => {
  await addCanvas('a', { style: 'position: absolute; left: 0; top: 0; width: 320px; height: 180px' });
  await addCanvas('b', { style: 'position: absolute; left: 400px; top: 0; width: 320px; height: 180px' });
  await show('s', 'a', { colour: ORANGE });
  await shows(160, 90, ORANGE_RGB);
  await show('s', 'b', { colour: ORANGE });
  await shows(560, 90, ORANGE_RGB);
  await show('s', 'b', { colour: TEAL });
  await shows(560, 90, TEAL_RGB);
  // The last frame stays.
  await shows(160, 90, ORANGE_RGB);
});

test('a second stream takes over the canvas', async () => {
  await addCanvas('c', { style: 'width: 320px; height: 180px' });
  await show('s', 'c', { colour: ORANGE });
  await shows(160, 90, ORANGE_RGB);
  await show('t', 'c', { colour: TEAL });
  await shows(160, 90, TEAL_RGB);
});

test('a canvas that cannot be drawn on is refused and left unchanged', async () => {
  await addCanvas('c', { style: 'width: 320px; height: 180px' });
  await page.evaluate(() => document.getElementById('c').getContext('bitmaprenderer'));
  const before = await attributes('c');
  await assert.rejects(show('s', 'c', { colour: ORANGE }), /neither 2d nor webgl/);
  assert.equal(await attributes('c'), before);
});

const size = () => page.evaluate(() => [document.getElementById('c').width, document.getElementById('c').height].join());

test('a canvas has its box in device pixels as width and height', async () => {
  await addCanvas('c', { style: 'width: 320px; height: 180px' });
  await show('s', 'c', { width: 1280, height: 720 });
  await eventually(size, (it) => it === '320,180');
  await page.evaluate(() => (document.getElementById('c').style.cssText += 'width: 900px; height: 506px'));
  await eventually(size, (it) => it === '900,506');
});

test('a canvas of a few pixels shows its video', async () => {
  for (const [width, height] of [[1, 1], [2, 2], [3, 2], [4, 4], [1, 40]]) {
    await page.evaluate(() => document.getElementById('c')?.remove());
    await addCanvas('c', { style: `width: ${width}px; height: ${height}px` });
    await show('s', 'c', { colour: ORANGE, viewMode: 2 });
    await eventually(() => page.evaluate(() => window.pixel('c', 0, 0)), near(ORANGE_RGB));
    await show('s', 'c', { colour: ORANGE, viewMode: 0 });
    await eventually(async () => (await page.evaluate(() => {
      const { width, height } = document.getElementById('c');
      return window.pixel('c', (width - 1) >> 1, (height - 1) >> 1);
    })), near(ORANGE_RGB));
  }
});

test('a hidden canvas costs nothing and comes back', async () => {
  await addCanvas('c', { style: 'width: 320px; height: 180px' });
  const view = await show('s', 'c', { colour: ORANGE, fps: 60 });
  const delivered = async () => JSON.parse(await page.evaluate((view) => native.viewStats(view), view)).delivered;
  await shows(160, 90, ORANGE_RGB);
  await page.evaluate(() => (document.getElementById('c').style.display = 'none'));
  await eventually(async () => {
    const before = await delivered();
    await new Promise((resolve) => setTimeout(resolve, 200));
    return (await delivered()) - before;
  }, (frames) => frames === 0);
  await page.evaluate(() => (document.getElementById('c').style.display = ''));
  await shows(160, 90, ORANGE_RGB);
});

test('every frame of four streams is drawn', async () => {
  const ids = [];
  for (let index = 0; index < 4; index++) {
    await addCanvas(`c${index}`, { style: 'width: 320px; height: 180px' });
    ids.push(await show(`s${index}`, `c${index}`, { width: 1280, height: 720 }));
  }
  const stats = () => page.evaluate((ids) => ids.map((id) => JSON.parse(native.viewStats(id))), ids);
  const after = await eventually(stats, (all) => all.every((it) => it.drawn >= 60), 10_000);
  assert.ok(after.every((it) => it.dropped <= 1 && it.delivered - it.drawn <= 3), JSON.stringify(after));
});
