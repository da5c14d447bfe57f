// `livekit-client` in a page as an application uses it that knows no options.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

const library = new URL('../../../node_modules/livekit-client/dist/livekit-client.umd.js', import.meta.url);

/** Serves a page with the library and nothing else. */
export async function serveLibrary() {
  const http = createServer(({ url }, response) => {
    if (url === '/livekit-client.js') return response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(library));
    return response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><script src="/livekit-client.js"></script>');
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return { url: `http://127.0.0.1:${http.address().port}/`, stop: () => http.close() };
}

/** A participant in a page of Playwright or Puppeteer. With `options` for its `Room`; camera and microphone unless it only `watches`. */
export async function enterRoom(page, { url, token, options, watches = false }) {
  await page.evaluate(
    async ([url, token, options, watches]) => {
      const { Room, RoomEvent } = globalThis.LivekitClient;
      const room = options ? new Room(options) : new Room();
      globalThis.room = room;
      room.on(RoomEvent.TrackSubscribed, (track) => {
        const element = track.attach();
        element.muted = true;
        document.body.append(element);
      });
      await room.connect(url, token);
      if (watches) return;
      await room.localParticipant.setCameraEnabled(true);
      await room.localParticipant.setMicrophoneEnabled(true);
    },
    [url, token, options ?? null, watches],
  );
}

/** Publishes an animated canvas without simulcast. */
export const publishCanvas = (page, { width, height }) =>
  page.evaluate(async ([width, height]) => {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    let turn = 0;
    setInterval(() => {
      context.fillStyle = `hsl(${(turn += 3) % 360} 60% 50%)`;
      context.fillRect(0, 0, width, height);
      context.fillStyle = 'white';
      context.fillRect((turn * 4) % width, height / 3, 90, 90);
    }, 33);
    const [track] = canvas.captureStream(30).getVideoTracks();
    await globalThis.room.localParticipant.publishTrack(track, { simulcast: false });
  }, [width, height]);

/** What it receives of another: frames decoded, samples played, codec as announced and as received. */
export const observe = (page, identity) =>
  page.evaluate(async (identity) => {
    const seen = { frames: 0, samples: 0, announced: '', codec: '', width: 0 };
    for (const { track, kind, mimeType } of globalThis.room.remoteParticipants.get(identity)?.trackPublications.values() ?? []) {
      const reports = [...((await track?.getRTCStatsReport())?.values() ?? [])];
      const inbound = reports.find(({ type }) => type === 'inbound-rtp');
      if (kind === 'audio') seen.samples = (inbound?.totalSamplesReceived ?? 0) - (inbound?.concealedSamples ?? 0);
      if (kind !== 'video') continue;
      Object.assign(seen, { frames: inbound?.framesDecoded ?? 0, announced: mimeType ?? '', width: inbound?.frameWidth ?? 0 });
      seen.codec = reports.find(({ id }) => id === inbound?.codecId)?.mimeType ?? '';
    }
    return seen;
  }, identity);
