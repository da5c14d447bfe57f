#!/usr/bin/env node
'use strict';

const { loadNative } = require('../dist/native.js');

// Node's own handlers end the process by raising the signal once more. The server's handler calls them in turn and would
// so be called for ever; those that listeners bring are harmless, and the server ends by itself.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);

process.exitCode = loadNative().runRoomServer(['zego-room-server', ...process.argv.slice(2)]);
