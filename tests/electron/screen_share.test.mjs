// A window of another page is shared through a real room server: the far end's canvas shows its colours.
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { freePort, startServer } from './call_members.mjs';
import { addCanvas, enter, openWindow, play, ready } from './call_user.mjs';
import { eventually, launch } from './harness.mjs';

const [WINDOW, SCREEN] = [1, 2];
const INVALID = 1;
const [OFF_SCREEN, DESTROY] = [1, 2];
const [CAMERA_SOURCE, SCREEN_SOURCE] = [2, 6];
const [RED, GREEN, BLUE] = [[255, 0, 0], [0, 255, 0], [0, 0, 255]];
const SIZE = { width: 480, height: 300 };
const PATIENCE_MS = 20000;

let server;
let url;
let app;
/** The sharing user and the watching user. */
let anna;
let ben;

before(async () => {
  const port = await freePort();
  server = await startServer(port);
  url = `ws://127.0.0.1:${port}`;
  app = await launch({ page: 'user.html' });
  anna = await ready(await app.firstWindow());
  ben = await openWindow(app);
  for (const [page, userID] of [[anna, 'anna'], [ben, 'ben']]) {
    await enter(page, userID, url);
    await addCanvas(page, 'id="c" style="width: 640px; height: 400px"');
  }
  await play(ben, 'anna', 'c');
  await prepare(anna);
});

/** Helpers in the page of the sharing user. */
const prepare = (page) =>
  page.evaluate(() => {
    window.happened = [];
    for (const name of ['onExceptionOccurred', 'onCaptureTypeExceptionOccurred', 'onWindowStateChanged', 'onRectChanged']) {
      window.engine.on(`SCREENCAPTURE_${name}`, (param) => window.happened.push({ name: `SCREENCAPTURE_${name}`, param }));
    }
    /** Takes a source and gives its number. */
    window.capture = (sourceID, sourceType) => {
      const source = window.engine.createScreenCaptureSource(sourceID, sourceType);
      for (const name of ['onExceptionOccurred', 'onWindowStateChanged', 'onRectChanged']) {
        source.on(name, (param) => window.happened.push({ name, param }));
      }
      // The pointer of this screen may lie anywhere.
      source.enableCursorVisible(false);
      window.source = source;
      return source.getIndex();
    };
  });

after(async () => {
  await app?.close();
  await server?.kill();
});

beforeEach(() => anna.evaluate(() => void (window.happened.length = window.events.length = 0)));

afterEach(async () => {
  const codes = await anna.evaluate(() => {
    if (window.source) window.engine.destroyScreenCaptureSource(window.source);
    window.source = undefined;
    window.engine.stopPreview();
    return window.engine.setVideoSource(2, 0, 0);
  });
  assert.equal(codes, 0);
  for (const page of [anna, ben]) assert.deepEqual(await page.evaluate(() => window.unhandled), []);
  assert.deepEqual(await app.evaluate(() => global.gone), []);
});

/** A window with a page of three colours: left, right, and a bar at the bottom. */
async function colouredWindow(title) {
  const opened = app.waitForEvent('window');
  await app.evaluate(({ BrowserWindow }, { title, width, height }) => {
    const webPreferences = { backgroundThrottling: false };
    const window = new BrowserWindow({ width, height, x: 700, y: 500, useContentSize: true, frame: false, title, webPreferences });
    const html = `<title>${title}</title><body style="margin:0;background:
      linear-gradient(blue, blue) bottom / 100% 20% no-repeat, linear-gradient(90deg, red 50%, lime 50%)">`;
    return void window.loadURL(`data:text/html,${encodeURIComponent(html)}`);
  }, { title, ...SIZE });
  const page = await opened;
  await page.waitForLoadState();
  return page;
}

/** The entry of that name in the list, as soon as it is there. */
const listed = (name) =>
  eventually(
    async () => {
      const sources = await anna.evaluate(() => window.engine.getScreenCaptureSources(240, 240, 64, 64));
      return sources.find(({ sourceName }) => sourceName === name);
    },
    (source) => source?.thumbnailImage.width > 0,
    PATIENCE_MS,
  );

/** Size of Anna's frames, and the colours at points of a canvas given as fractions of its sides. */
const look = (page, points) =>
  page.evaluate((points) => {
    const canvas = document.getElementById('c');
    if (canvas.width === 0) return { colours: points };
    const context = canvas.getContext('2d');
    const colourAt = ([x, y]) => [...context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data.slice(0, 3)];
    return { ...window.sizes.anna, colours: points.map(colourAt) };
  }, points);

const POINTS = [[0.25, 0.3], [0.75, 0.3], [0.5, 0.9]];
const close = (colour, expected) => colour.every((value, at) => Math.abs(value - expected[at]) < 40);
const shows = (page, expected) =>
  eventually(
    () => look(page, POINTS),
    ({ colours }) => colours.every((colour, at) => close(colour, expected[at])),
    PATIENCE_MS,
  );

/** The test pattern of the fake camera begins with white, and has no colour of the window at these points. */
const showsCamera = (page) =>
  eventually(
    () => look(page, POINTS),
    ({ width, height, colours }) => width * 9 === height * 16 && !close(colours[0], RED) && !close(colours[2], BLUE),
    PATIENCE_MS,
  );

const happened = (name, accept = () => true) =>
  eventually(
    () => anna.evaluate(() => window.happened),
    (events) => events.some((event) => event.name === name && accept(event.param)),
    PATIENCE_MS,
  );

const share = async ({ sourceID, sourceType }) => {
  const index = await anna.evaluate(([id, type]) => window.capture(id, type), [sourceID, sourceType]);
  const code = await anna.evaluate(
    ([source, index]) => {
      const code = window.engine.setVideoSource(source, index, 0);
      window.source.startCapture();
      return code;
    },
    [SCREEN_SOURCE, index],
  );
  assert.equal(code, 0);
};

/** Nothing was published again: the same stream continues. */
const isSteady = async () => {
  for (const [page, event] of [[anna, 'onPublisherStateUpdate'], [anna, 'onRoomStateUpdate']]) {
    assert.deepEqual(await page.evaluate((event) => window.states(event), event), []);
  }
};

test('windows and screens are listed with their thumbnails', async () => {
  const page = await colouredWindow('Slides');
  const source = await listed('Slides');
  assert.equal(source.sourceType, WINDOW);
  assert.deepEqual([source.thumbnailImage.width, source.thumbnailImage.height], [240, 150]);
  const pixel = await anna.evaluate(async (buffer) => {
    const image = new Image();
    image.src = `data:image/png;base64,${buffer}`;
    await image.decode();
    const context = new OffscreenCanvas(240, 150).getContext('2d');
    context.drawImage(image, 0, 0);
    return [...context.getImageData(20, 20, 1, 1).data];
  }, source.thumbnailImage.buffer);
  assert.deepEqual(pixel, [255, 0, 0, 255]);
  const sources = await anna.evaluate(() => window.engine.getScreenCaptureSources(100, 100, 0, 0));
  assert.equal(sources[0].sourceType, SCREEN);
  assert.ok(sources[0].thumbnailImage.buffer.length > 0);
  await page.close();
});

test('a shared window and then the camera are shown with right colours', async () => {
  await showsCamera(ben);
  const page = await colouredWindow('Colours');
  await anna.evaluate(() => window.engine.startPreview({ canvas: document.getElementById('c') }));
  await share(await listed('Colours'));
  const { width, height } = await shows(ben, [RED, GREEN, BLUE]);
  assert.ok(Math.abs(width / height - SIZE.width / SIZE.height) < 0.02, `${width} x ${height}`);
  await shows(anna, [RED, GREEN, BLUE]);
  assert.deepEqual(await anna.evaluate(() => window.source.getCaptureSourceRect()), { x: 700, y: 500, ...SIZE });
  if (process.env.TEST_SCREENSHOTS) {
    mkdirSync(process.env.TEST_SCREENSHOTS, { recursive: true });
    for (const [name, page] of [['anna', anna], ['ben', ben]]) {
      await page.screenshot({ path: join(process.env.TEST_SCREENSHOTS, `${name}.png`) });
    }
  }
  await page.evaluate(() => (document.body.style.background = 'lime'));
  await shows(ben, [GREEN, GREEN, GREEN]);
  await anna.evaluate(() => window.source.updateCaptureRegion({ x: 0, y: 0, width: 100, height: 100 }));
  await eventually(() => look(ben, []), ({ width, height }) => width === height, PATIENCE_MS);
  assert.equal(await anna.evaluate((camera) => window.engine.setVideoSource(camera, 0, 0), CAMERA_SOURCE), 0);
  await showsCamera(ben);
  await isSteady();
  await page.close();
});

test('a screen on its own channel is a second stream', async () => {
  const page = await colouredWindow('Beside the camera');
  const { sourceID } = await listed('Beside the camera');
  await anna.evaluate(([id, source]) => {
    const index = window.capture(id, 1);
    window.source.startCapture();
    window.engine.setVideoSource(source, index, 1);
    window.engine.startPublishingStream('anna-screen', null, 1);
  }, [sourceID, SCREEN_SOURCE]);
  await showsCamera(ben);
  await ben.evaluate(() => (document.getElementById('c').id = 'camera'));
  await addCanvas(ben, 'id="c" style="width: 300px; height: 200px"');
  await play(ben, 'anna-screen', 'c');
  await shows(ben, [RED, GREEN, BLUE]);
  await anna.evaluate(() => window.engine.stopPublishingStream(1));
  await ben.evaluate(() => {
    window.engine.stopPlayingStream('anna-screen');
    document.getElementById('c').remove();
    document.getElementById('camera').id = 'c';
  });
  await showsCamera(ben);
  await page.close();
});

test('a late joiner soon sees a static shared window', async () => {
  const page = await colouredWindow('At rest');
  await share(await listed('At rest'));
  await shows(ben, [RED, GREEN, BLUE]);
  await ben.evaluate(() => window.engine.stopPlayingStream('anna'));
  await ben.evaluate(() => document.getElementById('c').remove());
  await addCanvas(ben, 'id="c" style="width: 640px; height: 400px"');
  await play(ben, 'anna', 'c');
  await shows(ben, [RED, GREEN, BLUE]);
  await page.close();
});

test('hiding and closing a shared window is reported', async () => {
  const page = await colouredWindow('Short-lived');
  const window = await app.browserWindow(page);
  await share(await listed('Short-lived'));
  await shows(ben, [RED, GREEN, BLUE]);
  await window.evaluate((window) => window.hide());
  await happened('onWindowStateChanged', ({ windowState }) => windowState === OFF_SCREEN);
  await page.close();
  await happened('onWindowStateChanged', ({ windowState, index }) => windowState === DESTROY && index === undefined);
  await happened('onExceptionOccurred', ({ exceptionType }) => exceptionType === INVALID);
  await happened('SCREENCAPTURE_onExceptionOccurred', ({ exceptionType, index }) => exceptionType === INVALID && index >= 0);
  await happened('SCREENCAPTURE_onCaptureTypeExceptionOccurred', ({ sourceType }) => sourceType === WINDOW);
  assert.equal(await anna.evaluate((camera) => window.engine.setVideoSource(camera, 0, 0), CAMERA_SOURCE), 0);
  await showsCamera(ben);
  await isSteady();
});

test('invalid calls are reported and the call continues', async () => {
  const page = await colouredWindow('Misuse');
  const { sourceID } = await listed('Misuse');
  const NO_INSTANCE = 1020003;
  const answers = await anna.evaluate(
    ([sourceID, screenSource]) => {
      const { engine } = window;
      const wrongType = engine.createScreenCaptureSource(sourceID, 0);
      const noSource = engine.setVideoSource(screenSource, 4711, 0);
      const noChannel = engine.setVideoSource(screenSource, 0, 9);
      window.capture(sourceID, 1);
      const { source } = window;
      source.startCapture();
      source.startCapture();
      source.stopCapture();
      source.stopCapture();
      source.enableAudioCapture(true, {});
      source.updateCaptureRegion({ x: 'left' });
      source.setExcludeWindowList([1, 'two']);
      const index = source.getIndex();
      engine.setVideoSource(screenSource, index, 0);
      source.startCapture();
      engine.destroyScreenCaptureSource(source);
      source.startCapture();
      engine.destroyScreenCaptureSource(source);
      engine.destroyScreenCaptureSource({});
      window.source = undefined;
      const many = Array.from({ length: 11 }, () => engine.createScreenCaptureSource(sourceID, 1));
      many.slice(0, 10).forEach((one) => engine.destroyScreenCaptureSource(one));
      const codes = window.events.filter(({ event }) => event === 'onDebugError').map(({ param }) => param.errorCode);
      return { wrongType, noSource, noChannel, last: many[10], codes };
    },
    [sourceID, SCREEN_SOURCE],
  );
  assert.deepEqual([answers.wrongType, answers.last], [null, null]);
  assert.deepEqual([answers.noSource, answers.noChannel], [NO_INSTANCE, 1000017]);
  const expected = [1000017, 1020050, 1000017, 1000017, NO_INSTANCE, NO_INSTANCE, NO_INSTANCE, 1020004];
  assert.deepEqual(answers.codes, expected);
  await anna.evaluate(() => {
    window.capture(0x0deadbee, 1);
    window.source.startCapture();
  });
  await happened('onExceptionOccurred', ({ exceptionType }) => exceptionType === INVALID);
  await isSteady();
  await page.close();
});

test('a page reloaded while sharing can share again', async () => {
  const page = await colouredWindow('Reload');
  const source = await listed('Reload');
  await share(source);
  await shows(ben, [RED, GREEN, BLUE]);
  await anna.reload();
  await ready(anna);
  await addCanvas(anna, 'id="c" style="width: 640px; height: 400px"');
  await enter(anna, 'anna', url);
  await prepare(anna);
  await showsCamera(ben);
  await share(source);
  await shows(ben, [RED, GREEN, BLUE]);
  await page.close();
});
