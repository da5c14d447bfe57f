import type { Argument, Kind } from './arguments';
import { EngineScreen } from './engine_screen';

/** Arguments of a call: names and kinds. */
type Shape = readonly (readonly [string, Kind | `${Kind}?`])[];

/**
 * Calls that have no effect here, mostly because what they ask for is so already. Their arguments are checked, and an
 * application that makes them runs on as with the vendor.
 */
const WITHOUT_EFFECT: Readonly<Record<string, Shape>> = {
  // Pictures are coded in software, with H.264 Baseline, which has no pictures out of order.
  enableHardwareEncoder: [['enable', 'flag']],
  enableHardwareDecoder: [['enable', 'flag']],
  enableH265EncodeFallback: [['enable', 'flag']],
  enableCheckPoc: [['enable', 'flag']],
  // Pictures are scaled once, for the encoder.
  setCapturePipelineScaleMode: [['mode', 'count']],
  // Every stream is played at the same delay as long as its network allows.
  setStreamAlignmentProperty: [['alignment', 'count'], ['channel', 'count?']],
  setPlayStreamsAlignmentProperty: [['mode', 'count']],
  // Each stream gets what its view and the network call for.
  setPlayStreamFocusOn: [['streamID', 'text']],
  // The log is where `setLogConfig` put it; there is nobody to send it to.
  uploadLog: [],
  // There is none beside the camera's own exposure.
  setLowlightEnhancement: [['mode', 'count'], ['channel', 'count?']],
};

/** The calls without an effect. */
export abstract class EngineAccepted extends EngineScreen {
  static {
    for (const [name, shape] of Object.entries(WITHOUT_EFFECT)) {
      Object.defineProperty(this.prototype, name, {
        configurable: true,
        writable: true,
        value: function (this: EngineAccepted, ...values: unknown[]): void {
          const args = shape.map(([argument, kind], index): Argument => [argument, values[index], kind]);
          this.call(name, args, () => undefined);
        },
      });
    }
  }
}
