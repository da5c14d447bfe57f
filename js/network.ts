import type { ZegoNetworkSpeedTestConfig } from '../ZegoExpressDefines';
import type { NativeEngine } from './generated/native';

/** The speed test. */
export class Network {
  /** A direction that is not requested has no bitrate for the native part. */
  startNetworkSpeedTest(native: NativeEngine, config: ZegoNetworkSpeedTestConfig, interval: number): void {
    const uplink = config.testUplink ? (config.expectedUplinkBitrate ?? 0) : undefined;
    const downlink = config.testDownlink ? (config.expectedDownlinkBitrate ?? 0) : undefined;
    native.startNetworkSpeedTest(interval, uplink, downlink);
  }
}
