/** Events whose `data` is base64 text in the native part's JSON. */
const WITH_BYTES: ReadonlySet<string> = new Set(['onPlayerRecvSEI', 'onPlayerSyncRecvSEI']);
/** Events with a field that is a `Map`, and an object in the native part's JSON. */
const WITH_MAP: ReadonlyMap<string, string> = new Map([['onRemoteSoundLevelInfoUpdate', 'soundLevelInfos']]);

/** Restores values in place that JSON cannot represent: bytes and maps. */
export function restoreValues(name: string, payload: unknown): void {
  const event = payload as Record<string, unknown>;
  if (WITH_BYTES.has(name) && typeof event['data'] === 'string') {
    event['data'] = new Uint8Array(Buffer.from(event['data'], 'base64'));
  }
  const field = WITH_MAP.get(name);
  if (field !== undefined) event[field] = new Map(Object.entries(event[field] ?? {}));
}
