// Canvases in other documents, and canvases that only code reads.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { electronPath } from '../../scripts/electron.mjs';
import { ORANGE, ORANGE_RGB, eventually, launch, near, shownColour } from './harness.mjs';

const BOX = 'position: absolute; left: 0; top: 0; width: 320px; height: 180px';

let app;
let page;

before(async () => {
  app = await launch();
  page = await app.firstWindow();
});

after(() => app?.close());

beforeEach(async () => {
  await page.reload();
  await page.evaluate((box) => {
    window.problems = [];
    window.addEventListener('error', ({ message }) => window.problems.push(message));
    window.canvas = Object.assign(document.createElement('canvas'), { id: 'c' });
    window.canvas.style.cssText = box;
  }, BOX);
});

const shows = (window, x, y) => eventually(() => shownColour(app, window, x, y), near(ORANGE_RGB));
const show = (options = {}) => page.evaluate((options) => window.show('s', window.canvas, options), { colour: ORANGE, ...options });
const size = () => page.evaluate(() => `${window.canvas.width}x${window.canvas.height}`);
const problems = () => page.evaluate(() => window.problems);
const stats = () => page.evaluate(() => JSON.parse(native.viewStats(window.view)));
/** Waits until frames are drawn again, or no longer. */
const isDrawn = async (yes) => {
  const delivered = async () => (await stats()).delivered;
  await eventually(async () => {
    const before = await delivered();
    await new Promise((resolve) => setTimeout(resolve, 200));
    return (await delivered()) > before;
  }, (goesOn) => goesOn === yes);
};

/** An empty window of the page, which its code fills, as applications make windows for one participant. */
async function popOut() {
  const opened = app.waitForEvent('window');
  await page.evaluate(() => void (window.other = window.open('about:blank', '', 'width=800,height=600')));
  const other = await opened;
  await other.evaluate(() => (document.body.style.cssText = 'margin: 0; background: #808080'));
  return other;
}

test('a canvas in a pop-out window shows video and follows its size', async () => {
  const other = await popOut();
  await page.evaluate(() => window.other.document.body.append(window.canvas));
  await show({ width: 1280, height: 720 });
  await shows(other, 160, 90);
  assert.equal(await size(), '320x180');
  await page.evaluate(() => (window.canvas.style.cssText += 'width: 640px; height: 360px'));
  await eventually(size, (it) => it === '640x360');
  await shows(other, 600, 330);
  await page.evaluate(() => window.other.close());
});

test('a canvas keeps drawing in a pop-out, an iframe and a shadow tree', async () => {
  await page.evaluate(() => document.body.append(window.canvas));
  await page.evaluate(() => (window.view = window.show('s', window.canvas, { colour: 0xe06010, width: 1280, height: 720 })));
  await shows(page, 160, 90);
  const other = await popOut();
  await page.evaluate(() => window.other.document.body.append(window.canvas));
  await shows(other, 160, 90);
  await page.evaluate(() => (window.canvas.style.cssText += 'width: 400px; height: 225px'));
  await eventually(size, (it) => it === '400x225');
  await page.evaluate(() => {
    document.body.innerHTML = '<iframe srcdoc="" style="border: 0; width: 640px; height: 400px; position: absolute; left: 0; top: 0"></iframe>';
  });
  await page.waitForFunction(() => document.querySelector('iframe').contentDocument?.readyState === 'complete');
  await page.evaluate(() => document.querySelector('iframe').contentDocument.body.append(window.canvas));
  await shows(page, 390, 215);
  await page.evaluate(() => (window.canvas.style.cssText += 'width: 320px; height: 180px'));
  await eventually(size, (it) => it === '320x180');
  await page.evaluate(() => {
    document.body.innerHTML = '<div id="host"></div>';
    const shadow = document.getElementById('host').attachShadow({ mode: 'closed' });
    shadow.append(window.canvas);
  });
  await shows(page, 160, 90);
  await page.evaluate(() => (window.canvas.style.cssText += 'width: 200px; height: 112px'));
  await eventually(size, (it) => it === '200x112');
  await page.evaluate(() => window.other.close());
  await isDrawn(true);
  assert.deepEqual(await problems(), []);
});

test('a canvas survives the removal of its iframe without errors', async () => {
  await page.evaluate(() => {
    document.body.innerHTML = '<iframe srcdoc="" style="width: 640px; height: 400px"></iframe>';
  });
  await page.waitForFunction(() => document.querySelector('iframe').contentDocument?.readyState === 'complete');
  await page.evaluate(() => {
    document.querySelector('iframe').contentDocument.body.append(window.canvas);
    window.view = window.show('s', window.canvas, { colour: 0xe06010 });
  });
  await isDrawn(true);
  await page.evaluate(() => document.querySelector('iframe').remove());
  await isDrawn(false);
  assert.deepEqual(await problems(), []);
  await page.evaluate(() => document.body.append(window.canvas));
  await shows(page, 160, 90);
  assert.deepEqual(await problems(), []);
});

test('a canvas moves from a closed pop-out to another one', async () => {
  await popOut();
  await page.evaluate(() => {
    window.other.document.body.append(window.canvas);
    window.view = window.show('s', window.canvas, { colour: 0xe06010 });
  });
  await isDrawn(true);
  await page.evaluate(() => window.other.close());
  await isDrawn(false);
  const again = await popOut();
  await page.evaluate(() => window.other.document.body.append(window.canvas));
  await shows(again, 160, 90);
  await page.evaluate(() => window.other.close());
  assert.deepEqual(await problems(), []);
});

/** Colour in the middle of a 64 x 36 canvas that `read`, a function in the page, draws on. */
const reads = (read) =>
  eventually(
    () =>
      page.evaluate(async (read) => {
        const copy = Object.assign(document.createElement('canvas'), { width: 64, height: 36 });
        const context = copy.getContext('2d');
        await new Function('context', `return (${read})(context)`)(context);
        return [...context.getImageData(32, 18, 1, 1).data];
      }, String(read)),
    near(ORANGE_RGB),
  );
const draw = (context) => context.drawImage(window.canvas, 0, 0, 64, 36);

test('a canvas outside the document has the frame\'s or its given size', async () => {
  await show({ width: 640, height: 360 });
  await reads(draw);
  assert.equal(await size(), '640x360');
  await page.evaluate(() => Object.assign(window.canvas, { width: 160, height: 120 }));
  await eventually(size, (it) => it === '160x120');
  await reads(draw);
  await page.evaluate(() => document.body.append(window.canvas));
  await eventually(size, (it) => it === '320x180');
  await shows(page, 160, 90);
});

test('an undisplayed canvas can be read as a stream and as a texture', async () => {
  await page.evaluate(() => {
    window.canvas.style.display = 'none';
    document.body.append(window.canvas);
  });
  await show({ width: 640, height: 360 });
  await reads(draw);
  await page.evaluate(async () => {
    window.video = Object.assign(document.createElement('video'), { muted: true, srcObject: window.canvas.captureStream() });
    await window.video.play();
  });
  await reads((context) => context.drawImage(window.video, 0, 0, 64, 36));
  await reads((context) => {
    const surface = Object.assign(document.createElement('canvas'), { width: 64, height: 36 });
    const gl = surface.getContext('webgl', { preserveDrawingBuffer: true });
    const [texture, frame] = [gl.createTexture(), gl.createFramebuffer()];
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, window.canvas);
    gl.bindFramebuffer(gl.FRAMEBUFFER, frame);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    const pixel = new Uint8ClampedArray(4);
    gl.readPixels(window.canvas.width >> 1, window.canvas.height >> 1, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
    context.fillStyle = `rgb(${pixel[0]}, ${pixel[1]}, ${pixel[2]})`;
    context.fillRect(0, 0, 64, 36);
  });
});

test('drawHidden decides whether a hidden canvas is drawn', async () => {
  await page.evaluate(() => {
    document.body.append(window.canvas);
    window.view = window.show('s', window.canvas, { colour: 0xe06010, drawHidden: true });
  });
  await shows(page, 160, 90);
  await page.evaluate(() => (window.canvas.style.display = 'none'));
  await isDrawn(true);
  assert.equal(await size(), '320x180');
  await page.evaluate(() => window.canvas.remove());
  await isDrawn(true);
  await page.evaluate(() => window.show('s', window.canvas, { colour: 0xe06010, drawHidden: false }));
  await isDrawn(false);
});

for (const kind of ['webgl', 'webgl2']) {
  test(`a canvas with a ${kind} context is drawn by it and keeps its state`, async () => {
    await page.evaluate((kind) => {
      document.body.append(window.canvas);
      const gl = (window.gl = window.canvas.getContext(kind, { preserveDrawingBuffer: true }));
      gl.enable(gl.SCISSOR_TEST);
      gl.scissor(0, 0, 3, 3);
      gl.colorMask(false, true, false, true);
      gl.activeTexture(gl.TEXTURE3);
      gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, true);
      gl.viewport(1, 2, 3, 4);
      window.state = () =>
        JSON.stringify(
          [
            [gl.SCISSOR_TEST, gl.COLOR_WRITEMASK, gl.ACTIVE_TEXTURE, gl.UNPACK_FLIP_Y_WEBGL, gl.VIEWPORT, gl.CURRENT_PROGRAM].map((it) => gl.getParameter(it)),
            [gl.ARRAY_BUFFER_BINDING, gl.TEXTURE_BINDING_2D, gl.FRAMEBUFFER_BINDING].map((it) => gl.getParameter(it)),
            gl.getVertexAttrib(0, gl.VERTEX_ATTRIB_ARRAY_ENABLED),
            gl.getError(),
          ],
        );
      window.before = window.state();
    }, kind);
    await show({ width: 640, height: 480, backgroundColor: 0x104080 });
    await shows(page, 160, 90);
    await eventually(() => shownColour(app, page, 10, 90), near([0x10, 0x40, 0x80]));
    assert.deepEqual(await page.evaluate(() => [window.state(), window.gl.getError()]), [await page.evaluate(() => window.before), 0]);
    await page.evaluate(() => window.hide('s'));
    await shows(page, 160, 90);
    assert.equal(await page.evaluate(() => window.state()), await page.evaluate(() => window.before));
  });
}

test('a pop-out keeps drawing while its opener is hidden', async () => {
  const main = join(dirname(fileURLToPath(import.meta.url)), 'app/hidden_opener.js');
  const { stdout } = await promisify(execFile)(electronPath(), ['--no-sandbox', main], { timeout: 120_000 });
  const result = JSON.parse(stdout.split('\n').find((line) => line.startsWith('{')));
  const [red, green, blue] = result.shown.split(',').map(Number);
  assert.ok(near(ORANGE_RGB)([red, green, blue]), result.shown);
  assert.deepEqual({ ...result, shown: true }, {
    visibility: 'hidden',
    goesOn: true,
    size: '640x360',
    shown: true,
    rests: 0,
    comesBack: true,
  });
});
