import type { ZegoPublisherConfig, ZegoView } from '../ZegoExpressDefines';
import type { Canvases } from './canvases';
import Defines = require('./generated/defines');
import type { NativeEngine } from './generated/native';
import { IGNORED_FIELDS } from './generated/shapes';
import { reportIgnoredFields, roomIn } from './stream_config';
import type { Reporter } from './reporter';

const CHANNELS: readonly number[] = Object.values(Defines.ZegoPublishChannel);
const previewOf = (channel: number) => `preview:${channel}`;

/** Publishing and previews. */
export class Publish {
  constructor(
    private readonly reporter: Reporter,
    private readonly canvases: Canvases,
  ) {}

  startPublishingStream(
    native: NativeEngine,
    streamID: string,
    config: ZegoPublisherConfig | null | undefined,
    channel: number,
  ): void {
    reportIgnoredFields(this.reporter, 'startPublishingStream', IGNORED_FIELDS.ZegoPublisherConfig, config);
    native.startPublishingStream(streamID, roomIn(config), channel);
  }

  startPreview(native: NativeEngine, view: ZegoView | null | undefined, channel: number): void {
    // The engine refuses an unknown channel later by an event: until then its canvas must not change.
    const shown = CHANNELS.includes(channel) ? view : null;
    this.canvases.start('startPreview', previewOf(channel), shown, (id) => native.startPreview(channel, id));
  }

  stopPreview(native: NativeEngine, channel: number): void {
    native.stopPreview(channel);
    this.canvases.stop(previewOf(channel));
  }
}
