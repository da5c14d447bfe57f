// An HTTP proxy as offices have them: CONNECT and nothing else. Prints each target. Argument: the port.
import { createServer } from 'node:http';
import { connect } from 'node:net';

const proxy = createServer((_request, response) => response.writeHead(405).end());
proxy.on('connect', ({ url }, client) => {
  console.log(url);
  const { hostname, port } = new URL(`http://${url}`);
  const server = connect(Number(port || 80), hostname.replace(/^\[|\]$/g, ''));
  server.on('connect', () => {
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    server.pipe(client).pipe(server);
  });
  for (const end of [server, client]) end.on('error', () => [server, client].forEach((it) => it.destroy()));
});
proxy.listen(Number(process.argv[2]), () => console.log('listening'));
