// A user whose engine runs in a page; the counterpart of `Member`, which has none.
import { eventually } from './harness.mjs';

/** Opens one more window in its own renderer process. */
export async function openWindow(app) {
  const opened = app.waitForEvent('window');
  await app.evaluate(() => void global.openWindow());
  return ready(await opened);
}

/** Waits until the page has its engine. */
export async function ready(page) {
  await page.waitForFunction(() => typeof window.player === 'function');
  return page;
}

export async function enter(page, userID, server) {
  await page.evaluate(([userID, server]) => window.enter(userID, server), [userID, server]);
  await untilStates(page, 'onPublisherStateUpdate', (states) => states.at(-1) === '2:0', 10000);
}

export const play = (page, streamID, canvasId, look) =>
  page.evaluate(([streamID, canvasId, look]) => window.play(streamID, canvasId, look), [streamID, canvasId, look]);

/** Waits until `accept` accepts the states of that event, each `state:errorCode`. */
export const untilStates = (page, event, accept, timeoutMs) =>
  eventually(() => page.evaluate((event) => window.states(event), event), accept, timeoutMs);

export const player = (page, streamID) => page.evaluate((streamID) => window.player(streamID), streamID);

/** Waits until more frames of a stream are drawn. */
export async function watches(page, streamID, timeoutMs = 10000) {
  const drawn = async () => (await player(page, streamID))?.view?.drawn ?? 0;
  const before = await drawn();
  await eventually(drawn, (count) => count > before, timeoutMs);
}

/** Puts a canvas on the page. `attributes` as in HTML. */
export const addCanvas = (page, attributes) =>
  page.evaluate((html) => document.body.insertAdjacentHTML('beforeend', html), `<canvas ${attributes}></canvas>`);
