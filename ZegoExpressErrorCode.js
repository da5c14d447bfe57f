'use strict';

module.exports = require('./dist/generated/error_codes.js');
