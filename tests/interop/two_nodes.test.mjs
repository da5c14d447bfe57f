// Two LiveKit nodes that share their rooms through Redis: when one is killed, the call recovers.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { after, test } from 'node:test';
import { Member, ROOM } from '../electron/call_members.mjs';
import { eventually } from '../electron/harness.mjs';
import { endAll, hasRedis, server, startNode, startRedis } from './nodes.mjs';

const skip = server.reason ?? (hasRedis() ? false : 'there is no redis-server');
/** From the node's death until both see each other again. */
const RECOVERY_MS = 10000;

after(endAll);

/** The cluster's load balancer: forwards new connections to the first node that is alive. */
async function startBalancer(...nodes) {
  const balancer = createServer((incoming) => {
    incoming.on('error', () => {});
    const tryNext = ([node, ...others]) => {
      if (!node) return void incoming.destroy();
      const outgoing = connect(Number(new URL(node.url).port), '127.0.0.1');
      outgoing.once('connect', () => {
        incoming.pipe(outgoing).pipe(incoming);
        outgoing.on('close', () => incoming.destroy());
        incoming.on('close', () => outgoing.destroy());
        outgoing.off('error', refused).on('error', () => incoming.destroy());
      });
      const refused = () => tryNext(others);
      outgoing.once('error', refused);
    };
    tryNext(nodes);
  });
  balancer.listen(0, '127.0.0.1');
  await once(balancer, 'listening');
  return { url: `ws://127.0.0.1:${balancer.address().port}`, close: () => balancer.close() };
}

/** The node that a room lives on: all media of the room goes there. */
function ownerOf(room, redis, nodes) {
  const id = execFileSync('redis-cli', ['-p', String(redis.port), 'HGET', 'room_node_map', room], { encoding: 'utf8' }).trim();
  // Nodes log each other's IDs too; the first one a node logs is its own.
  return nodes.find((node) => /starting LiveKit server.*"nodeID": "([^"]+)"/.exec(node.log)?.[1] === id);
}

test('both users see each other again 10 s after their node is killed', { skip }, async () => {
  const redis = await startRedis();
  const nodes = [await startNode({ redis }), await startNode({ redis })];
  const balancers = [await startBalancer(...nodes), await startBalancer(...[...nodes].reverse())];
  const [a, b] = [new Member('A'), new Member('B')];
  try {
    // Each client signals through its own node.
    await a.enter(balancers[0].url);
    await b.enter(balancers[1].url);
    await a.call('startPlayingStream', 'B');
    await b.call('startPlayingStream', 'A');
    await Promise.all([a.watches('B'), b.watches('A')]);
    const owner = ownerOf(ROOM, redis, nodes);
    assert.ok(owner, 'the room has a node');
    const end = Date.now() + RECOVERY_MS;
    await owner.kill();
    const left = () => Math.max(0, end - Date.now());
    for (const [member, other] of [[a, 'B'], [b, 'A']]) {
      const interrupted = () => member.states('onPlayerStateUpdate', other).slice(2);
      await eventually(interrupted, (states) => states.at(-1) === '2:0', left());
      await member.watches(other, left());
      // Receiving says nothing about one's own stream, which may recover a moment later.
      for (const event of ['onRoomStateUpdate', 'onPublisherStateUpdate']) {
        await eventually(() => member.states(event).at(-1), (state) => state === '2:0', left());
      }
    }
  } finally {
    await Promise.all([a.leave(), b.leave()]);
    balancers.forEach((balancer) => balancer.close());
  }
});
