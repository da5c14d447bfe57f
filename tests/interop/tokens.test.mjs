// How a real LiveKit server treats many kinds of tokens. Ours is tested by the same list (crates/protocol/src/token/tests.rs).
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { KEY, SECRET } from './keys.mjs';
import { endAll, server, startNode } from './nodes.mjs';

// The list is that of the newer version; older versions are stricter in some cases.
const skip = server.reason ?? (process.env.LIVEKIT_SERVER_VERSION ? 'another version was asked for' : false);
const vectors = JSON.parse(readFileSync(new URL('../../crates/protocol/src/token/livekit_verdicts.json', import.meta.url)));
let node;

before(async () => {
  if (!skip) node = await startNode();
});

after(endAll);

function tokenOf({ header = '{"alg":"HS256","typ":"JWT"}', payload }) {
  const now = Math.floor(Date.now() / 1000);
  const filledIn = payload.replaceAll('$KEY', KEY).replace(/@(-?\d+)/g, (_, offset) => now + Number(offset));
  const signed = [header, filledIn].map((part) => Buffer.from(part).toString('base64url')).join('.');
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

test('a real LiveKit server accepts and refuses the listed tokens', { skip }, async () => {
  for (const vector of vectors) {
    const { status } = await fetch(`${node.http}/rtc/validate?access_token=${tokenOf(vector)}`);
    assert.equal(status, vector.status, vector.name);
  }
});
