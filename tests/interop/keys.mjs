// API key and secret of the servers in these tests, beside the app's own.
export const KEY = '1234567';
export const SECRET = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';
