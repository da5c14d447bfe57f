// Pages, windows and workers that go while native threads are writing frames for them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { eventually, launch } from './harness.mjs';

const STREAMS = 4;
const RELOADS = 50;
const WINDOW_CLOSES = 10;
const WORKER_ENDS = 15;

/** Starts four streams at 60 frames a second and returns when they are being drawn. */
async function draw(page) {
  await page.evaluate((streams) => {
    for (let index = 0; index < streams; index++) {
      window.addCanvas(`c${index}`, { style: 'width: 450px; height: 300px' });
      window.show(`s${index}`, `c${index}`, { fps: 60 });
    }
  }, STREAMS);
  const drawn = () => page.evaluate(() => JSON.parse(native.viewStats(1))?.drawn ?? 0);
  await eventually(drawn, (frames) => frames > 3);
}

const status = (pid, field) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
const lost = (app) => app.evaluate(() => global.gone);

test('a page reloads fifty times while it draws', async (t) => {
  const app = await launch({ args: ['--js-flags=--expose-gc'] });
  // However it ends: a window that stays keeps the whole run from ending.
  t.after(() => app.close());
  const page = await app.firstWindow();
  const pid = await page.evaluate(() => process.pid);
  const figures = [];
  for (let round = 0; round < RELOADS; round++) {
    await draw(page);
    await page.reload();
    // Closed pages wait for the garbage collector: only what it cannot free counts.
    await page.evaluate(() => window.gc());
    figures.push({ kB: status(pid, 'VmRSS'), threads: status(pid, 'Threads') });
  }
  await draw(page);
  assert.equal(await page.evaluate(() => process.pid), pid, 'one renderer served all reloads');
  assert.deepEqual(await lost(app), []);
  const [middle, last] = [figures[RELOADS / 2], figures[RELOADS - 1]];
  assert.ok(last.kB < middle.kB * 1.15, `memory grew from ${middle.kB} to ${last.kB} kB in the second half`);
  assert.ok(last.threads <= middle.threads + 2, `threads grew from ${middle.threads} to ${last.threads}`);
});

test('windows are closed and destroyed while they draw', async (t) => {
  const app = await launch();
  // However it ends: a window that stays keeps the whole run from ending.
  t.after(() => app.close());
  let page = await app.firstWindow();
  for (let round = 0; round < WINDOW_CLOSES; round++) {
    await draw(page);
    const window = await app.browserWindow(page);
    const closed = page.waitForEvent('close');
    await window.evaluate((window, destroy) => (destroy ? window.destroy() : window.close()), round % 2 === 1);
    await closed;
    const opened = app.waitForEvent('window');
    await app.evaluate(() => void global.openWindow());
    page = await opened;
    await page.waitForFunction(() => typeof window.show === 'function');
  }
  assert.deepEqual(await lost(app), []);
});

test('workers are terminated while they draw', async (t) => {
  const app = await launch({ page: 'worker.html' });
  // However it ends: a window that stays keeps the whole run from ending.
  t.after(() => app.close());
  const page = await app.firstWindow();
  for (let round = 0; round < WORKER_ENDS; round++) {
    await eventually(() => page.evaluate(() => window.frames_drawn), (frames) => frames > 10);
    await page.evaluate(() => {
      window.worker.terminate();
      window.frames_drawn = 0;
      window.worker = new Worker('worker.js');
      window.worker.onmessage = (message) => (window.frames_drawn += message.data);
    });
  }
  assert.deepEqual(await lost(app), []);
});
