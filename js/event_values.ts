/** Events whose `data` crosses from the native part as text in base64. */
const WITH_BYTES: ReadonlySet<string> = new Set(['onPlayerRecvSEI', 'onPlayerSyncRecvSEI']);
/** Events with a field that is a `Map`, which crosses as an object. */
const WITH_MAP: ReadonlyMap<string, string> = new Map([['onRemoteSoundLevelInfoUpdate', 'soundLevelInfos']]);

/** Makes in place what JSON cannot say: bytes, and maps. */
export function restoreValues(name: string, payload: unknown): void {
  const event = payload as Record<string, unknown>;
  if (WITH_BYTES.has(name) && typeof event['data'] === 'string') {
    event['data'] = new Uint8Array(Buffer.from(event['data'], 'base64'));
  }
  const field = WITH_MAP.get(name);
  if (field !== undefined) event[field] = new Map(Object.entries(event[field] ?? {}));
}
