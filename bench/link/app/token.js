'use strict';

// Access tokens for LiveKit's clients, for the app of the tests' room server.
const { createHmac } = require('crypto');

const KEY = '1234567890';
const SECRET = '0123456789abcdef'.repeat(4);

module.exports = function token(room, identity) {
  const text = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: KEY, sub: identity, nbf: now - 5, exp: now + 3600, video: { room, roomJoin: true } };
  const body = `${text({ alg: 'HS256', typ: 'JWT' })}.${text(claims)}`;
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`;
};
