// The window with the embedded server is killed: the other window takes over, and a later user joins.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listens } from './call_members.mjs';
import { addCanvas, enter, openWindow, play, ready, untilStates, watches } from './call_user.mjs';
import { eventually, launch } from './harness.mjs';

/** Port at which engines without a configured server look for one or start it. */
const EMBEDDED_PORT = 7880;
const PORT_FREE_MS = 60000;
/** From the window's death until the remaining and the next user see each other. */
const RECOVERY_MS = 10000;
const GOES_ON = '2:0';

test('another window takes over the embedded server of a killed one', async () => {
  await eventually(() => listens(EMBEDDED_PORT), (busy) => !busy, PORT_FREE_MS);
  const app = await launch({ page: 'user.html' });
  try {
    const carrier = await ready(await app.firstWindow());
    await enter(carrier, 'carrier');
    const stays = await openWindow(app);
    await enter(stays, 'stays');
    const canvas = 'id="c" style="width: 320px; height: 180px"';
    for (const page of [carrier, stays]) await addCanvas(page, canvas);
    await play(carrier, 'stays', 'c');
    await play(stays, 'carrier', 'c');
    await Promise.all([watches(carrier, 'stays'), watches(stays, 'carrier')]);

    const [dead, alive] = await Promise.all([carrier, stays].map((page) => page.evaluate(() => process.pid)));
    assert.notEqual(dead, alive, 'each window has a renderer of its own');
    const end = Date.now() + RECOVERY_MS;
    process.kill(dead, 'SIGKILL');
    await eventually(() => app.evaluate(() => global.gone.length), (lost) => lost === 1);
    const comes = await openWindow(app);
    await addCanvas(comes, canvas);
    await enter(comes, 'comes');
    await addCanvas(stays, 'id="d" style="width: 320px; height: 180px"');
    await play(comes, 'stays', 'c');
    await play(stays, 'comes', 'd');
    await Promise.all([watches(comes, 'stays', end - Date.now()), watches(stays, 'comes', end - Date.now())]);

    const once = (interrupted) => (states) => states.slice(2).join() === [interrupted, GOES_ON].join();
    await untilStates(stays, 'onRoomStateUpdate', once('1:1002051'));
    await untilStates(stays, 'onPublisherStateUpdate', once('1:1003020'));
    assert.ok(await listens(EMBEDDED_PORT), 'the window that stayed carries the server now');
    assert.equal((await app.evaluate(() => global.gone)).length, 1, 'no other renderer was lost');
    for (const page of [stays, comes]) assert.deepEqual(await page.evaluate(() => window.unhandled), []);
  } finally {
    await app.close();
  }
});
