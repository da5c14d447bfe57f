// The room server's join page in a browser, with other browsers and with the addon.

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { APP_ID, APP_SIGN, endAll, eventually, runServer, startClient, startServer } from '../node/harness.mjs';
import { launchBrowser, noBrowser } from './chromium.mjs';

const skip = noBrowser;
let browser;
let server;
before(async () => {
  if (skip) return;
  server = await startServer('--dev');
  browser = await launchBrowser();
});
afterEach(() => Promise.all((browser?.contexts() ?? []).map((context) => context.close())));
after(async () => {
  await browser?.close();
  endAll();
});

/** A user of the page in its own browser context. Console errors are collected in `errors`. */
async function open(hash = '', { port = server.port, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 760 }, ...options });
  const page = await context.newPage();
  page.errors = [];
  page.on('console', (message) => message.type() === 'error' && page.errors.push(message.text()));
  page.on('pageerror', (error) => page.errors.push(String(error)));
  await page.goto(`http://127.0.0.1:${port}/${hash}`);
  return page;
}

async function join(user, options) {
  const page = await open(`#room=page&user=${encodeURIComponent(user)}`, options);
  await page.click('#join');
  await page.waitForSelector('#call:not([hidden])');
  return page;
}

const tile = (identity) => `.tile[data-identity=${JSON.stringify(identity)}]`;

/** Number of frames that the browser has presented in a tile. */
const shown = (page, identity) =>
  page.evaluate((selector) => {
    const video = document.querySelector(`${selector}.picture video`);
    return video ? video.getVideoPlaybackQuality().totalVideoFrames : 0;
  }, tile(identity));

/** Waits until different frames are shown. */
async function sees(page, identity) {
  const before = await eventually(() => shown(page, identity), (frames) => frames > 0);
  await eventually(() => shown(page, identity), (frames) => frames > before + 10);
  const picture = () =>
    page.evaluate((selector) => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 36 });
      const context = canvas.getContext('2d');
      context.drawImage(document.querySelector(`${selector} video`), 0, 0, 64, 36);
      return context.getImageData(0, 0, 64, 36).data.join();
    }, tile(identity));
  const first = await picture();
  assert.ok(new Set(first.split(',')).size > 5, 'the picture is of one colour');
  await eventually(picture, (now) => now !== first);
}

const messages = (page) => page.$$eval('#messages li', (items) => items.map((item) => [item.querySelector('b').textContent, item.childNodes[1].data]));

async function say(page, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

test('two people see each other move, chat, mute and leave', { skip }, async () => {
  const [anna, hans] = await Promise.all([join('anna'), join('hans')]);
  await Promise.all([sees(anna, 'hans'), sees(hans, 'anna'), sees(anna, 'anna')]);

  await say(anna, 'hello <b>hans</b> & 你好');
  await say(hans, 'hello anna');
  const expected = [['anna', 'hello <b>hans</b> & 你好'], ['hans', 'hello anna']];
  for (const page of [anna, hans]) {
    await eventually(() => messages(page), (list) => JSON.stringify([...list].sort()) === JSON.stringify(expected));
  }

  await anna.click('#microphone');
  await hans.waitForSelector(`${tile('anna')} .muted:not([hidden])`);
  await anna.click('#camera');
  await hans.waitForSelector(`${tile('anna')}:not(.picture)`);
  await anna.click('#camera');
  await sees(hans, 'anna');

  await anna.click('#leave');
  await anna.waitForSelector('#entrance:not([hidden])');
  await hans.waitForSelector(tile('anna'), { state: 'detached' });
  assert.deepEqual([...anna.errors, ...hans.errors], []);
});

test('a browser and an app exchange video and messages', { skip }, async () => {
  const [page, app] = await Promise.all([join('anna'), startClient(server)]);
  await app.call('loginRoom', 'page', { userID: 'app', userName: 'TheApp' });
  await app.call('startPublishingStream', 'app-stream');
  await sees(page, 'app');
  assert.equal(await page.textContent(`${tile('app')} figcaption span`), 'TheApp · app-stream');

  // A browser does not name its tracks, so the stream has the ID of its user.
  await app.call('startPlayingStream', 'anna');
  const decoded = async () => (await app.stats()).players[0]?.framesDecoded ?? 0;
  await eventually(decoded, (frames) => frames > 20);

  await say(page, 'from the page');
  const received = () => app.events.filter(({ event }) => event === 'onIMRecvBroadcastMessage').flatMap(({ param }) => param.messageList);
  await eventually(received, (list) => list.some(({ message, fromUser }) => message === 'from the page' && fromUser.userID === 'anna'));
  await app.call('sendBroadcastMessage', 'page', 'from the app');
  await eventually(() => messages(page), (list) => list.some(([from, text]) => from === 'TheApp' && text === 'from the app'));
  await app.call('finish');
  await page.waitForSelector(tile('app'), { state: 'detached' });
  assert.deepEqual(page.errors, []);
});

test('a second login of the same user kicks out the first and says why', { skip }, async () => {
  const first = await join('anna');
  const second = await join('anna');
  await first.waitForSelector('#entrance:not([hidden])');
  assert.match(await first.textContent('#notice'), /somewhere else/);
  await second.waitForSelector(tile('anna'));
});

test('the page follows the browser\'s language and fits a phone', { skip }, async () => {
  const options = { locale: 'zh-CN', viewport: { width: 360, height: 700 } };
  const page = await join('安娜', options);
  assert.equal(await page.textContent('#leave'), '离开');
  await sees(page, '安娜');
  const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.equal(await overflow(), 0);
});

test('without --dev the page asks for a token and shows a refusal', { skip }, async () => {
  const strict = runServer('--port', '0', '--key', `${APP_ID}:${APP_SIGN}`);
  const [, port] = await eventually(() => /ws:\/\/127\.0\.0\.1:(\d+)/.exec(strict.out));
  const page = await open('#room=page&user=anna', { port });
  await page.click('#join');
  await page.waitForSelector('#notice:not([hidden])');
  assert.match(await page.textContent('#notice'), /access token is needed/);
  const payload = { sub: 'hans', video: { room: 'page', roomJoin: true } };
  await page.fill('#token', `eyJhbGciOiJub25lIn0.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.x`);
  await page.click('#join');
  assert.equal(await page.inputValue('#user'), 'hans');
  await eventually(() => page.textContent('#notice'), (text) => /Could not join.*HS256/.test(text));
  const answer = await page.evaluate(() => fetch('/dev/token', { method: 'POST', body: '{}' }).then(({ status }) => status));
  assert.equal(answer, 404);
});
