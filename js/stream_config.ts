import Defines = require('./generated/defines');
import type { Reporter } from './reporter';

/** Values of ignored fields that request what is done anyway. */
const DEFAULTS: Readonly<Record<string, readonly number[]>> = {
  resourceMode: [Defines.ZegoStreamResourceMode.OnlyL3, Defines.ZegoStreamResourceMode.OnlyRTC],
};

/** The room of a configuration: missing without one, empty for a configuration without a room. */
export const roomIn = (config?: { roomID?: string | null } | null) => (config ? (config.roomID ?? '') : undefined);

/** Reports once each field of a configuration that has no effect here but requests something. */
export function reportIgnoredFields(
  reporter: Reporter,
  method: string,
  fields: readonly string[],
  config: object | null | undefined,
): void {
  const given = (config ?? {}) as Record<string, unknown>;
  for (const field of fields) {
    const value = given[field];
    const isRequested = Boolean(value) && !DEFAULTS[field]?.includes(value as number);
    if (isRequested) reporter.reportMissing(method, `${method}: config.${field}`);
  }
}
