// A TCP relay in front of a server's signalling that a test can cut without closing, as a bad network does.
import { connect, createServer } from 'node:net';
import { once } from 'node:events';

/** A relay in front of `server`. `cut` drops its connections; later ones are relayed again. */
export async function startRelay(server) {
  const target = new URL(server.http);
  const pairs = new Set();
  const relay = createServer((near) => {
    const far = connect(Number(target.port), target.hostname);
    const pair = [near, far];
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      for (const socket of pair) socket.destroy();
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    near.pipe(far).pipe(near);
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const cut = () => {
    const open = pairs.size;
    for (const pair of [...pairs]) for (const socket of pair) socket.destroy();
    return open;
  };
  const stop = () => {
    cut();
    relay.close();
  };
  return { url: `ws://127.0.0.1:${relay.address().port}`, cut, stop };
}
