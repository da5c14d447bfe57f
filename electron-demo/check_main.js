'use strict';

// `npm run demo -- --check`: two participants in two windows call each other with fake devices. Prints one line of JSON.

const fs = require('fs');
const path = require('path');
const { toneShare } = require('./wav_tone');

const MEASURED_FRAMES = 150;
const LIMIT_MS = 60_000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Both canvases of a window show moving video: their pixels change. */
function canvasesMove(window) {
  return window.webContents.executeJavaScript(`(async () => {
    const sample = () => ['localCanvas', 'remoteCanvas'].map((id) => {
      const canvas = document.getElementById(id);
      if (!canvas.width || !canvas.height) return '';
      const small = document.createElement('canvas');
      small.width = 64; small.height = 36;
      const context = small.getContext('2d');
      context.drawImage(canvas, 0, 0, 64, 36);
      return Array.from(context.getImageData(0, 0, 64, 36).data).join();
    });
    const before = sample();
    await new Promise((resolve) => setTimeout(resolve, 400));
    const after = sample();
    return before.every((pixels, index) => pixels && pixels !== after[index]);
  })()`);
}

async function until(condition, deadline) {
  while (Date.now() < deadline) {
    if (await condition().catch(() => false)) return true;
    await sleep(100);
  }
  return false;
}

async function screenshot(window, file) {
  const image = await window.webContents.capturePage();
  fs.writeFileSync(file, image.toPNG());
}

async function runCheck(openParticipant) {
  const deadline = Date.now() + LIMIT_MS;
  const speaker = path.join(process.env.DEMO_CHECK_FOLDER, 'speaker.wav');
  const target = process.env.DEMO_CHECK_SCREENSHOT || path.resolve('demo-check.png');
  const room = `check-${process.pid}`;
  const first = openParticipant({ auto: '1', room, user: 'anna', publish: 'anna-stream', play: 'ben-stream' });
  await until(() => first.webContents.executeJavaScript('state.publishing'), deadline);
  const second = openParticipant({ auto: '1', room, user: 'ben', publish: 'ben-stream', play: 'anna-stream', speaker });
  const windows = [first, second];
  const moving = [];
  for (const window of windows) moving.push(await until(() => canvasesMove(window), deadline));
  const report = (window) => window.webContents.executeJavaScript('window.report()');
  await Promise.all(windows.map((window) => window.webContents.executeJavaScript('remote.reset()')));
  await until(async () => (await report(second)).frames >= MEASURED_FRAMES, deadline);
  const { fps, p50, p95 } = await report(second);
  // The second participant joins an existing stream: this is the time a user waits.
  const joinToFirstFrameMs = await second.webContents.executeJavaScript('window.firstRemoteFrameMs');
  await screenshot(second, target);
  for (const window of windows) await window.webContents.executeJavaScript('destroy()');
  const heard = toneShare(speaker);
  const ok = moving.every(Boolean) && heard > 0.5 && fps > 20;
  const result = {
    ok,
    joinToFirstFrameMs,
    fps: Math.round(fps * 10) / 10,
    captureToCanvasMs: { p50, p95 },
    audioHeard: heard > 0.5,
    screenshot: target,
  };
  console.log(JSON.stringify(result));
  return ok ? 0 : 1;
}

module.exports = { runCheck };
