'use strict';

module.exports = require('./dist/helper_classes.js').ZegoMediaPlayer;
