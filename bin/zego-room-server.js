#!/usr/bin/env node
'use strict';

const { loadNative } = require('../dist/native.js');

process.exitCode = loadNative().runRoomServer(['zego-room-server', ...process.argv.slice(2)]);
