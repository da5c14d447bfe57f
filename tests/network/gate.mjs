// Hands TCP connections on, as a router does that has another port outside. Arguments: port, host and port behind it.
import { connect, createServer } from 'node:net';

const [port, host, behind] = process.argv.slice(2);
createServer((client) => {
  const server = connect(Number(behind), host);
  server.pipe(client).pipe(server);
  for (const end of [server, client]) end.on('error', () => [server, client].forEach((it) => it.destroy()));
}).listen(Number(port), () => console.log('listening'));
