import type { ZegoPlayerConfig, ZegoView } from '../ZegoExpressDefines';
import type { Canvases } from './canvases';
import type { NativeEngine } from './generated/native';
import { IGNORED_FIELDS } from './generated/shapes';
import { reportIgnoredFields, roomIn } from './stream_config';
import type { Reporter } from './reporter';

const playerOf = (streamID: string) => `play:${streamID}`;

/** Playing streams on canvases. */
export class Play {
  constructor(
    private readonly reporter: Reporter,
    private readonly canvases: Canvases,
  ) {}

  startPlayingStream(
    native: NativeEngine,
    streamID: string,
    view: ZegoView | null | undefined,
    config: ZegoPlayerConfig | null | undefined,
  ): void {
    reportIgnoredFields(this.reporter, 'startPlayingStream', IGNORED_FIELDS.ZegoPlayerConfig, config);
    this.canvases.start('startPlayingStream', playerOf(streamID), view, (id) =>
      native.startPlayingStream(streamID, id, roomIn(config)),
    );
  }

  stopPlayingStream(native: NativeEngine, streamID: string): void {
    native.stopPlayingStream(streamID);
    this.canvases.stop(playerOf(streamID));
  }
}
