// Whole calls over a bad link: what a user would see, with bounds that a busy machine keeps as well.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { endAll, eventually, startCall } from './harness.mjs';
import { startServerBehindLink } from './link.mjs';

const DELAY = { delayMs: 25 };
const LOSSY = { ...DELAY, loss: 0.05 };
const MEASURED_MS = 8000;

after(endAll);

const both = (link, seed = 1) => ({ up: { ...link, seed }, down: { ...link, seed: seed + 1000 } });
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const pictures = async ({ publisher, player }) => {
  const [{ publishers }, { players }] = await Promise.all([publisher.stats(), player.stats()]);
  return { sent: publishers[0].framesSent, decoded: players[0].framesDecoded };
};

/** A call that is up, its links clean but slow. */
async function callOverLink(t) {
  const { link, server } = await startServerBehindLink();
  t.after(link.stop);
  await link.newcomers('all', both(DELAY));
  const call = await startCall(server);
  return { ...call, link, pictures: () => pictures(call) };
}

/** Pictures go on: more of them than could have been on their way. */
async function goesOn(call, what) {
  const { decoded } = await call.pictures();
  await eventually(call.pictures, (now) => now.decoded > decoded + 30, 15_000).catch((error) => {
    throw new Error(`no pictures after ${what}: ${error.message}`);
  });
}

/** No one was told of anything, as after a call over a good link. */
function nothingToDo({ publisher, player }) {
  assert.deepEqual(publisher.states('onPublisherStateUpdate'), [1, 2]);
  assert.deepEqual(player.states('onPlayerStateUpdate'), [1, 2]);
  for (const client of [publisher, player]) assert.deepEqual(client.events.filter(({ param }) => param.errorCode), []);
}

test('one packet of twenty gets lost at both ends, and the pictures arrive whole', async (t) => {
  const call = await callOverLink(t);
  await call.link.change('all', both(LOSSY, 7));
  const before = await call.pictures();
  await sleep(MEASURED_MS);
  const after = await call.pictures();
  const [sent, decoded] = [after.sent - before.sent, after.decoded - before.decoded];
  assert.ok(sent >= 60, `${sent} pictures sent`);
  assert.ok(decoded >= sent * 0.9, `${decoded} of ${sent} pictures arrived`);
  const links = await call.link.report('all');
  assert.ok(links.some(({ up }) => up.lost > 20) && links.some(({ down }) => down.lost > 20), 'nothing got lost');
  nothingToDo(call);
});

test('the link is gone for a second, and the call goes on by itself', async (t) => {
  const call = await callOverLink(t);
  await call.link.change('all', both({ ...DELAY, outages: [[0, 1000]] }));
  await sleep(1000);
  await goesOn(call, 'an outage');
  nothingToDo(call);
});

test('a router forgets both users, and the call goes on by itself', async (t) => {
  const call = await callOverLink(t);
  await call.link.rebind('all');
  await goesOn(call, 'a move');
  nothingToDo(call);
});
