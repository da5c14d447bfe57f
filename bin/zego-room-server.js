#!/usr/bin/env node
'use strict';

// The room server is a program of its own beside the addon: a server has no use for the libraries of sound and cameras,
// which the addon needs to be loaded at all.
const { spawn } = require('node:child_process');
const { existsSync } = require('node:fs');
const { join } = require('node:path');

const name = `zego-room-server.${process.platform}-${process.arch}${process.platform === 'win32' ? '.exe' : ''}`;
const program = join(__dirname, '..', 'native', name);
if (!existsSync(program)) {
  console.error(`zego-room-server: there is no ${program}: this package was built without the room server for this system`);
  process.exit(1);
}

// The server stops when its standard input ends, so it does not outlive this process, whatever ends it.
const server = spawn(program, ['--stop-with-input', ...process.argv.slice(2)], { stdio: ['pipe', 'inherit', 'inherit'] });
server.stdin.on('error', () => undefined);
// Told to stop, the server says goodbye to everybody; this process waits for it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => server.stdin.end());
server.on('error', (error) => {
  console.error(`zego-room-server: ${program}: ${error.message}`);
  process.exitCode = 1;
});
server.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
