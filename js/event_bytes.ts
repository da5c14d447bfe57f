/** Events whose `data` crosses from the native part as text in base64. */
const WITH_BYTES: ReadonlySet<string> = new Set(['onPlayerRecvSEI', 'onPlayerSyncRecvSEI']);

/** Makes bytes of what stands for them, in place. */
export function readBytes(name: string, payload: unknown): void {
  if (!WITH_BYTES.has(name)) return;
  const event = payload as { data: string | Uint8Array };
  if (typeof event.data === 'string') event.data = new Uint8Array(Buffer.from(event.data, 'base64'));
}
