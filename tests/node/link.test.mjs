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
const frames = async ({ publisher, player }) => {
  const [{ publishers }, { players }] = await Promise.all([publisher.stats(), player.stats()]);
  return { sent: publishers[0].framesSent, decoded: players[0].framesDecoded };
};

/** A call that is up, its links clean but slow. */
async function callOverLink(t) {
  const { link, server } = await startServerBehindLink();
  t.after(link.stop);
  await link.newcomers('all', both(DELAY));
  const call = await startCall(server);
  return { ...call, link, frames: () => frames(call) };
}

/** Waits for more new frames than can have been in flight. */
async function goesOn(call, what) {
  const { decoded } = await call.frames();
  await eventually(call.frames, (now) => now.decoded > decoded + 30, 15_000).catch((error) => {
    throw new Error(`no frames after ${what}: ${error.message}`);
  });
}

/** No event reports a problem, as after a call over a good link. */
function nothingToDo({ publisher, player }) {
  assert.deepEqual(publisher.states('onPublisherStateUpdate'), [1, 2]);
  assert.deepEqual(player.states('onPlayerStateUpdate'), [1, 2]);
  for (const client of [publisher, player]) assert.deepEqual(client.events.filter(({ param }) => param.errorCode), []);
}

test('with 5 % loss on both links video arrives undamaged', async (t) => {
  const call = await callOverLink(t);
  await call.link.change('all', both(LOSSY, 7));
  const before = await call.frames();
  await sleep(MEASURED_MS);
  const after = await call.frames();
  const [sent, decoded] = [after.sent - before.sent, after.decoded - before.decoded];
  assert.ok(sent >= 60, `${sent} frames sent`);
  assert.ok(decoded >= sent * 0.9, `${decoded} of ${sent} frames arrived`);
  const links = await call.link.report('all');
  assert.ok(links.some(({ up }) => up.lost > 20) && links.some(({ down }) => down.lost > 20), 'nothing got lost');
  nothingToDo(call);
});

test('the call recovers from an outage of one second', async (t) => {
  const call = await callOverLink(t);
  await call.link.change('all', both({ ...DELAY, outages: [[0, 1000]] }));
  await sleep(1000);
  await goesOn(call, 'an outage');
  nothingToDo(call);
});

test('the call recovers when a NAT drops both users\' mappings', async (t) => {
  const call = await callOverLink(t);
  await call.link.rebind('all');
  await goesOn(call, 'a move');
  nothingToDo(call);
});
