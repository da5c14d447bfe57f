// What an application reads from its own canvas and writes to it, while a stream is drawn there.
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

beforeEach(() => page.reload());

const shows = (x, y, expected) => eventually(() => shownColour(app, page, x, y), near(expected));
const show = (options = {}) => page.evaluate((options) => window.show('s', 'c', options), { colour: ORANGE, ...options });
const stop = () => page.evaluate(() => window.hide('s'));
const addCanvas = (options, id = 'c') => page.evaluate(([id, options]) => window.addCanvas(id, options), [id, options]);
/** Width and height of a canvas by its properties, and its box on the page. */
const sizes = () =>
  page.evaluate(() => {
    const canvas = document.getElementById('c');
    const { width, height } = canvas.getBoundingClientRect();
    return { own: `${canvas.width}x${canvas.height}`, box: `${Math.round(width)}x${Math.round(height)}` };
  });
const becomes = (own, box = own) => eventually(sizes, (it) => it.own === own && it.box === box);
const zoom = (factor) =>
  page.evaluate((factor) => {
    const canvas = document.getElementById('c');
    canvas.width *= factor;
    canvas.height *= factor;
  }, factor);

test('zoom buttons that set width and height work, also after stopping', async () => {
  await addCanvas({ width: 400, height: 300 });
  await show();
  await becomes('400x300');
  for (const size of ['440x330', '484x363']) {
    await zoom(1.1);
    await becomes(size);
    await shows(200, 150, ORANGE_RGB);
  }
  await zoom(0.5);
  await becomes('242x181');
  await shows(120, 90, ORANGE_RGB);
  await stop();
  assert.deepEqual(await sizes(), { own: '242x181', box: '242x181' });
  assert.equal(await page.evaluate(() => document.getElementById('c').getAttribute('style')), null);
});

test('a canvas sized by CSS ignores width and height', async () => {
  await addCanvas({ style: 'width: 320px; height: 180px' });
  await show();
  await becomes('320x180');
  await zoom(2);
  await becomes('320x180');
  await shows(160, 90, ORANGE_RGB);
  await page.evaluate(() => (document.getElementById('c').width += 0));
  await shows(160, 90, ORANGE_RGB);
  await stop();
  assert.deepEqual(await sizes(), { own: '640x360', box: '320x180' });
  await shows(160, 90, ORANGE_RGB);
});

test('a size set before the first frame is used', async () => {
  await addCanvas({ width: 400, height: 300 });
  await page.evaluate(() => window.views.open('s', { canvas: document.getElementById('c') }, true));
  await zoom(1.5);
  await show();
  await becomes('600x450');
});

test('a canvas resized outside the document has the new box', async () => {
  await addCanvas({ width: 400, height: 300 });
  await show();
  await becomes('400x300');
  await page.evaluate(() => {
    window.away = document.getElementById('c');
    window.away.remove();
    window.away.setAttribute('width', '200');
    window.away.setAttribute('height', '150');
  });
  await page.evaluate(() => document.body.append(window.away));
  await becomes('200x150');
  await shows(100, 75, ORANGE_RGB);
});

test('drawImage at the canvas size copies the whole frame with its bars', async () => {
  await addCanvas({ style: 'width: 400px; height: 400px' });
  await show({ width: 1280, height: 720, backgroundColor: TEAL });
  await becomes('400x400');
  const read = () =>
    page.evaluate(() => {
      const source = document.getElementById('c');
      const copy = Object.assign(document.createElement('canvas'), { width: source.width, height: source.height });
      const context = copy.getContext('2d');
      context.drawImage(source, 0, 0);
      const at = (x, y) => [...context.getImageData(x, y, 1, 1).data];
      return [at(200, 20), at(200, 200), at(390, 200), at(200, 380)];
    });
  await eventually(read, ([top, middle, right, bottom]) =>
    near(TEAL_RGB)(top) && near(ORANGE_RGB)(middle) && near(ORANGE_RGB)(right) && near(TEAL_RGB)(bottom));
});

test('a magnified canvas gets as many pixels as it covers', async () => {
  await page.evaluate(() => {
    document.body.innerHTML = '<div id="zoom" style="transform: scale(3); transform-origin: 0 0; width: 0"></div>';
    window.addCanvas('c', { style: 'width: 300px; height: 160px' });
    document.getElementById('zoom').append(document.getElementById('c'));
  });
  await show({ width: 1280, height: 720 });
  await becomes('900x480');
  await shows(450, 240, ORANGE_RGB);
  await page.evaluate(() => (document.getElementById('zoom').style.transform = 'scaleX(-1)'));
  await becomes('300x160');
  await page.evaluate(() => (document.getElementById('zoom').style.cssText = 'zoom: 2'));
  await eventually(sizes, ({ own }) => own === '600x320');
});

test('the last frame stays after stopping and restoring attributes', async () => {
  await addCanvas({ style: 'width: 320px; height: 180px', width: 50, height: 50 });
  await show({ viewMode: 2 });
  await becomes('320x180');
  await shows(160, 90, ORANGE_RGB);
  await stop();
  assert.equal((await sizes()).own, '50x50');
  await shows(160, 90, ORANGE_RGB);
});

test('a failed start leaves its canvas and the stream on it unchanged', async () => {
  await addCanvas({ width: 320, height: 180 });
  const html = () => page.evaluate(() => document.getElementById('c').outerHTML);
  const fails = () =>
    page.evaluate(() => {
      window.uncaught = [];
      window.onerror = (message) => void window.uncaught.push(message);
      const canvas = document.getElementById('c');
      const start = () => {
        throw new Error('refused');
      };
      window.views.open('other', { canvas, viewMode: 1, backgroundColor: 0xff0000 }, true, start);
    });
  const before = await html();
  await assert.rejects(fails(), /refused/);
  assert.equal(await html(), before);
  await page.evaluate(() => (document.getElementById('c').style.width = '500px'));
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  assert.deepEqual(await page.evaluate(() => window.uncaught), []);
  await page.evaluate(() => (document.getElementById('c').style.width = ''));
  await show();
  await shows(160, 90, ORANGE_RGB);
  await assert.rejects(fails(), /refused/);
  await show({ colour: TEAL });
  await shows(160, 90, TEAL_RGB);
});
