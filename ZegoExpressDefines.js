'use strict';

module.exports = require('./dist/generated/defines.js');
