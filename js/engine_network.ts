import type { Argument } from './arguments';
import { EngineSound } from './engine_sound';
import Defines = require('./generated/defines');

const MAIN: number = Defines.ZegoPublishChannel.Main;

/** `ZegoNetworkSpeedTestConfig`; bitrates in kbit/s. */
export interface SpeedTestConfig {
  testUplink?: boolean | null;
  expectedUplinkBitrate?: number | null;
  testDownlink?: boolean | null;
  expectedDownlinkBitrate?: number | null;
}

/** `ZegoNetworkTimeInfo`, in milliseconds. */
export interface NetworkTimeInfo {
  timestamp: number;
  maxDeviation: number;
}

const USUAL_REPORT_INTERVAL = 3000;

/** The calls about the network. */
export abstract class EngineNetwork extends EngineSound {
  // ---- what the network may change of what is published

  enableTrafficControl(enable: boolean, property: number, channel = MAIN): void {
    const args: Argument[] = [
      ['enable', enable, 'flag'],
      ['property', property, 'count'],
      ['channel', channel, 'count'],
    ];
    this.call('enableTrafficControl', args, (native) => native.enableTrafficControl(enable, property, channel));
  }

  /** For the main channel. */
  setMinVideoBitrateForTrafficControl(bitrate: number, mode: number): void {
    const args: Argument[] = [
      ['bitrate', bitrate, 'count'],
      ['mode', mode, 'count'],
    ];
    this.call('setMinVideoBitrateForTrafficControl', args, (native) =>
      native.setMinVideoBitrateForTrafficControl(bitrate, mode),
    );
  }

  setMinVideoFpsForTrafficControl(fps: number, channel = MAIN): void {
    const args: Argument[] = [
      ['fps', fps, 'count'],
      ['channel', channel, 'count'],
    ];
    this.call('setMinVideoFpsForTrafficControl', args, (native) =>
      native.setMinVideoFpsForTrafficControl(fps, channel),
    );
  }

  setMinVideoResolutionForTrafficControl(width: number, height: number, channel = MAIN): void {
    const args: Argument[] = [
      ['width', width, 'count'],
      ['height', height, 'count'],
      ['channel', channel, 'count'],
    ];
    this.call('setMinVideoResolutionForTrafficControl', args, (native) =>
      native.setMinVideoResolutionForTrafficControl(width, height, channel),
    );
  }

  setTrafficControlFocusOn(mode: number, channel = MAIN): void {
    const args: Argument[] = [
      ['mode', mode, 'count'],
      ['channel', channel, 'count'],
    ];
    this.call('setTrafficControlFocusOn', args, (native) => native.setTrafficControlFocusOn(mode, channel));
  }

  // ---- what the network is like

  startNetworkSpeedTest(config: SpeedTestConfig, interval = USUAL_REPORT_INTERVAL): void {
    const args: Argument[] = [
      ['config', config, 'object'],
      ['config.testUplink', config?.testUplink, 'flag?'],
      ['config.expectedUplinkBitrate', config?.expectedUplinkBitrate, 'count?'],
      ['config.testDownlink', config?.testDownlink, 'flag?'],
      ['config.expectedDownlinkBitrate', config?.expectedDownlinkBitrate, 'count?'],
      ['interval', interval, 'count'],
    ];
    this.call('startNetworkSpeedTest', args, (native) => {
      const up = config.testUplink ? (config.expectedUplinkBitrate ?? 0) : undefined;
      const down = config.testDownlink ? (config.expectedDownlinkBitrate ?? 0) : undefined;
      native.startNetworkSpeedTest(interval, up, down);
    });
  }

  stopNetworkSpeedTest(): void {
    this.call('stopNetworkSpeedTest', [], (native) => native.stopNetworkSpeedTest());
  }

  /** The room server's clock; zeros until the first login. */
  getNetworkTimeInfo(): NetworkTimeInfo {
    return this.call('getNetworkTimeInfo', [], (native) => native.getNetworkTimeInfo()) ?? { timestamp: 0, maxDeviation: 0 };
  }
}
