// A page that misuses the engine during a call: mistakes are reported and the call continues.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { ADD, DELETE, Member, freePort, startServer } from './call_members.mjs';
import { addCanvas, enter, play, ready, untilStates, watches } from './call_user.mjs';
import { eventually, launch } from './harness.mjs';

const ILLEGAL_PARAM = 1000017;
const ROUNDS = 5;

let server;
let url;
let b;
let app;
let page;
const uncaught = [];

before(async () => {
  const port = await freePort();
  server = await startServer(port);
  url = `ws://127.0.0.1:${port}`;
  b = new Member('B');
  await b.enter(url);
  app = await launch({ page: 'user.html' });
  page = await ready(await app.firstWindow());
  page.on('pageerror', (error) => uncaught.push(String(error)));
});

after(async () => {
  await app?.close();
  await b.leave();
  await server.kill();
});

beforeEach(async () => {
  await page.reload();
  await ready(page);
});

afterEach(async () => {
  assert.deepEqual(await page.evaluate(() => window.unhandled), []);
  assert.deepEqual(uncaught, []);
  assert.deepEqual(await app.evaluate(() => global.gone), []);
});

async function call() {
  await enter(page, 'A', url);
  await addCanvas(page, 'id="c" style="width: 320px; height: 180px"');
  await play(page, 'B', 'c');
  await watches(page, 'B');
}

/** Codes of all reported mistakes. */
const mistakes = () =>
  page.evaluate(() => window.events.filter(({ event }) => event === 'onDebugError').map(({ param }) => param.errorCode));

test('calls without an engine throw, destroyEngine does not', async () => {
  const thrown = () =>
    page.evaluate(() => {
      window.engine.destroyEngine();
      const canvas = document.createElement('canvas');
      const tries = [
        () => window.engine.startPreview({ canvas }),
        () => window.engine.startPlayingStream('B', { canvas }),
        () => window.engine.stopPlayingStream('B'),
        () => window.engine.sendBroadcastMessage('room', 'hello'),
      ];
      return tries.map((run) => {
        try {
          return String(run());
        } catch ({ name, code }) {
          return `${name} ${code}`;
        }
      });
    });
  const expected = Array(4).fill('ZegoError 1000001');
  assert.deepEqual(await thrown(), expected);
  await call();
  assert.deepEqual(await thrown(), expected);
});

test('rejected promises of invalid calls may be ignored', async () => {
  await page.evaluate(() => void window.engine.createEngine('wrong'));
  await call();
  await page.evaluate(() => {
    window.engine.sendBroadcastMessage(1, 2);
    window.engine.sendCustomCommand('room', 'hello', [null]);
    window.engine.sendBroadcastMessage('room', 'hello');
    window.engine.destroyEngine();
  });
  // The browser reports unhandled rejections after the current task.
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
});

test('an invalid canvas is reported and the stream plays without video', async () => {
  await call();
  await page.evaluate(() => {
    for (const canvas of [{}, document.body, new OffscreenCanvas(10, 10)]) window.engine.startPlayingStream('B', { canvas });
    window.engine.startPlayingStream('B', { canvas: 'c' });
    window.engine.startPlayingStream('B', { canvas: document.getElementById('c'), viewMode: 'fit' });
  });
  assert.deepEqual(await mistakes(), Array(5).fill(ILLEGAL_PARAM));
  assert.deepEqual(await page.evaluate(() => window.states('onPlayerStateUpdate')), ['1:0', '2:0']);
  await play(page, 'B', 'c');
  await watches(page, 'B');
});

test('an exception in a listener during a call is logged', async () => {
  const reported = page.waitForEvent('console', (message) => message.type() === 'error');
  await page.evaluate(() =>
    window.engine.prependOnceListener('onPlayerStateUpdate', () => {
      throw new Error('a mistake of the application');
    }),
  );
  await call();
  assert.match((await reported).text(), /onPlayerStateUpdate threw/);
  await untilStates(page, 'onPlayerStateUpdate', (states) => states.join() === '2:0');
});

test('a listener may destroy the engine and create the next one', async () => {
  await page.evaluate(
    ([server, rounds]) => {
      window.rounds = 0;
      const again = async () => {
        await window.enter('A', server);
        window.engine.on('onPublisherStateUpdate', ({ state }) => {
          if (state !== 2 || ++window.rounds === rounds) return;
          window.engine.destroyEngine();
          again();
        });
      };
      return again();
    },
    [url, ROUNDS],
  );
  await eventually(() => page.evaluate(() => window.rounds), (rounds) => rounds === ROUNDS, 20000);
  // A user who leaves before the connection is up may never have been announced.
  const present = () => b.seen('A', ADD).users - b.seen('A', DELETE).users;
  await eventually(present, (users) => users === 1, 15000);
  await page.evaluate(() => window.engine.destroyEngine());
  await eventually(present, (users) => users === 0, 15000);
});
