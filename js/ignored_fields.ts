import Defines = require('./generated/defines');

/** Fields that the vendor's cloud honours and a server of one's own does not. */
const FIELDS = {
  startPublishingStream: [
    'forceSynchronousNetworkTime',
    'streamCensorshipMode',
    'streamCensorFlag',
    'codecNegotiationType',
    'streamTitle',
  ],
  startPlayingStream: [
    'resourceMode',
    'cdnConfig',
    'videoCodecID',
    'codecTemplateID',
    'resourceSwitchMode',
    'resourceWhenStopPublish',
  ],
} as const;

/** Values that ask for what is so already. */
const SO_ALREADY: Readonly<Record<string, readonly number[]>> = {
  resourceMode: [Defines.ZegoStreamResourceMode.OnlyL3, Defines.ZegoStreamResourceMode.OnlyRTC],
};

/** The fields of a call's configuration that ask for something that nothing comes of. */
export function ignoredFields(method: keyof typeof FIELDS, config: object | null | undefined): string[] {
  const given = (config ?? {}) as Record<string, unknown>;
  return FIELDS[method].filter((field) => {
    const value = given[field];
    return Boolean(value) && !SO_ALREADY[field]?.includes(value as number);
  });
}
