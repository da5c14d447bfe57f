// Key and secret that the servers of these tests know beside the app's own.
export const KEY = '1234567';
export const SECRET = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';
