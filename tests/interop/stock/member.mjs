// A process with one stock client, driven by its parent: see `startStock` in tests/network/members.mjs. Which one: its argument.
import { AudioStream, Room, TrackKind, VideoStream, dispose } from '@livekit/rtc-node';

import { launchBrowser } from '../chromium.mjs';
import { launchFirefox } from '../firefox.mjs';
import { publishAudio, publishVideo } from '../harness.mjs';
import { enterRoom, observe, serveLibrary } from './default_page.mjs';

/** livekit-client without options in a page of that browser. */
async function inBrowser(launch) {
  const [browser, library] = await Promise.all([launch(), serveLibrary()]);
  const page = await browser.newPage();
  await page.goto(library.url);
  return {
    enter: (how) => enterRoom(page, how),
    observe: (identity) => observe(page, identity),
    async leave() {
      await browser.close();
      library.stop();
    },
  };
}

/** rtc-node without options. */
async function inNode() {
  const own = { room: new Room(), timers: [] };
  const seen = {};
  own.room.on('trackSubscribed', async (track, _publication, { identity }) => {
    const counts = (seen[identity] ??= { frames: 0, samples: 0 });
    if (track.kind === TrackKind.KIND_VIDEO) for await (const frame of new VideoStream(track)) counts.frames += frame ? 1 : 0;
    else for await (const frame of new AudioStream(track)) counts.samples += frame.samplesPerChannel;
  });
  return {
    async enter({ url, token }) {
      await own.room.connect(url, token, { autoSubscribe: true, dynacast: true });
      await publishVideo(own);
      await publishAudio(own);
    },
    observe: (identity) => seen[identity] ?? { frames: 0, samples: 0 },
    async leave() {
      own.timers.forEach(clearInterval);
      own.gone = true;
      await own.room.disconnect();
      await dispose();
    },
  };
}

const kinds = { chromium: () => inBrowser(launchBrowser), firefox: () => inBrowser(() => launchFirefox()), node: inNode };
const member = await kinds[process.argv[2]]();

process.on('message', async ({ id, method, args }) => {
  try {
    process.send({ id, value: await member[method](...args) });
    if (method === 'leave') process.disconnect();
  } catch (error) {
    process.send({ id, error: String(error) });
  }
});
process.send({ ready: true });
