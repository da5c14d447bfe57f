// The access token: the one that was typed in, or one that a development server makes.
import { word } from './words.js';

/** Room and user of a token, without a look at its signature; undefined for one that does not name both. */
export function contentsOf(token) {
  try {
    const payload = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(payload), (letter) => letter.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return claims.video?.room && claims.sub ? { room: claims.video.room, user: claims.sub } : undefined;
  } catch {
    return undefined;
  }
}

/** A token for this room and user. Rejects with what the user should read. */
export async function tokenFor({ room, user, token, isDev }) {
  if (token) {
    const contents = contentsOf(token);
    if (contents && (contents.room !== room || contents.user !== user)) throw new Error(word('tokenOfOther'));
    return token;
  }
  if (!isDev) throw new Error(word('needToken'));
  const body = JSON.stringify({ room, identity: user });
  const answer = await fetch('dev/token', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  if (!answer.ok) throw new Error(`${word('refused')}: ${await answer.text()}`);
  return (await answer.json()).token;
}
