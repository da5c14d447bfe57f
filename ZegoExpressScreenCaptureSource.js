'use strict';

module.exports = require('./dist/screen_capture_source.js').ZegoScreenCaptureSource;
