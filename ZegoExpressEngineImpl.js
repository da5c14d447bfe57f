'use strict';

// The vendor's inner engine; here it is the engine itself.
module.exports = require('./dist/index.js');
