import engine = require('./index');

export = engine;
