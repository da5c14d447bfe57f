import type {
  ZegoEngineConfig,
  ZegoEngineProfile,
  ZegoFeatureType,
  ZegoGeoFenceType,
  ZegoLogConfig,
  ZegoPublishChannel,
  ZegoRoomMode,
  ZegoScenario,
  ZegoScreenCaptureSourceInfo,
} from '../ZegoExpressDefines';
import { bindMethods } from './bound_methods';
import { Calls } from './calls';
import { Canvases } from './canvases';
import { ZegoError } from './errors';
import { Events } from './events';
import { FailureLog } from './failure_log';
import Defines = require('./generated/defines');
import { EngineCalls } from './generated/engine_calls';
import ErrorCode = require('./generated/error_codes');
import type { NativeEngine, NativeModule } from './generated/native';
import { SHAPES } from './generated/shapes';
import { LEGACY_METHODS } from './legacy';
import { Parts } from './parts';
import { settled } from './promises';
import { Reporter } from './reporter';
import { Requests, type Answer } from './requests';
import { Settings } from './settings';

/** The supported `ZegoFeatureType`s. */
const FEATURES: ReadonlySet<number> = new Set([
  Defines.ZegoFeatureType.Audio,
  Defines.ZegoFeatureType.Video,
  Defines.ZegoFeatureType.SEI,
  Defines.ZegoFeatureType.SdkVideoCapture,
  Defines.ZegoFeatureType.SdkVideoRender,
  Defines.ZegoFeatureType.ScreenCapture,
]);

/**
 * The engine of an application. Calls return at once and their results are emitted as events; see `index.d.ts` for the
 * methods. Without an engine all but nine methods throw a {@link ZegoError} with code 1000001.
 */
export class ZegoExpressEngine extends EngineCalls {
  private readonly settings = new Settings();
  private readonly requests = new Requests();
  private readonly failures = new FailureLog((event) => this.listenerCount(event));
  private readonly reporter = new Reporter((event, payload) => this.emit(event, payload), this.failures, this.settings);
  private readonly canvases = new Canvases(this.reporter, this.settings);
  protected readonly calls = new Calls(this.reporter, this.requests);
  protected readonly parts = new Parts(this.calls, this.reporter, this.canvases);
  private readonly events = new Events(
    (event, payload) => this.emit(event, payload),
    this.requests,
    this.canvases,
    this.parts,
    this.failures,
  );
  /** The native part, created once for the life of the page. */
  private native: NativeEngine | undefined;
  private watchesPage = false;

  constructor(private readonly load: () => NativeModule) {
    super();
    // Applications add a listener per component, so Node's warning about more than ten does not apply.
    this.setMaxListeners(0);
    bindMethods(this);
  }

  /** Emits an event. An exception in a listener is logged and skips the other listeners of this one event. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    try {
      return super.emit(event, ...args);
    } catch (error) {
      console.error(`a listener of ${String(event)} threw:`, error);
      return true;
    }
  }

  override createEngine(profile: ZegoEngineProfile & { server?: string | null }): Promise<void> {
    return settled(() => {
      if (this.calls.hasEngine) return;
      this.calls.demand('createEngine', [['profile', profile, { ...SHAPES.ZegoEngineProfile, scenario: 'count?' }]]);
      const native = this.connect();
      const { appID, appSign, server } = profile;
      const scenario = profile.scenario ?? Defines.ZegoScenario.Default;
      native.create({ appID, appSign: appSign ?? '', scenario, ...(server ? { server } : {}) }, this.settings.forNative());
      this.calls.setEngine(native);
      this.watchPage();
    });
  }

  /** An older form of {@link createEngine}; the third argument has no effect. */
  override init(appID: number, appSign: string | null, _isTestEnv: boolean, scenario: ZegoScenario): Promise<void> {
    return this.createEngine({ appID, appSign: appSign ?? '', scenario });
  }

  override destroyEngine(): void {
    if (!this.calls.hasEngine || !this.native) return;
    this.calls.setEngine(undefined);
    this.canvases.stopAll();
    this.native.destroy();
    this.events.add(this.native.drainEvents());
    this.requests.resolveAll({ errorCode: ErrorCode.CommonEngineNotCreate });
    this.events.deliver();
    this.parts.reset();
    this.reporter.reset();
    this.removeAllListeners();
  }

  override getVersion(): string {
    return this.load().NativeEngine.getVersion();
  }

  override setEngineConfig(config: ZegoEngineConfig): void {
    const shape = { advancedConfig: 'object?', logConfig: 'object?' } as const;
    if (!this.calls.accepts('setEngineConfig', [['config', config, shape]])) return;
    const { advancedConfig, logConfig } = config;
    if (advancedConfig) this.settings.setAdvanced(advancedConfig);
    if (logConfig) this.setLogConfig(logConfig);
  }

  override setLogConfig(config: ZegoLogConfig): void {
    if (!this.calls.accepts('setLogConfig', [['config', config, SHAPES.ZegoLogConfig]])) return;
    this.settings.setLog(config);
    this.calls.attempt('setLogConfig', () => this.load().NativeEngine.setLogConfig(this.settings.log));
  }

  override setRoomMode(mode: ZegoRoomMode): void {
    if (!this.calls.accepts('setRoomMode', [['mode', mode, 'count']])) return;
    const { SingleRoom, MultiRoom } = Defines.ZegoRoomMode;
    const number: number = mode;
    if (this.calls.hasEngine) {
      const late = 'the room mode must be set before createEngine';
      this.reporter.reportMisuse(ErrorCode.EngineSetRoomModeErrorTime, 'setRoomMode', late);
    } else if (number === SingleRoom || number === MultiRoom) {
      this.settings.multiRoom = number === MultiRoom;
    } else {
      this.reporter.reportMisuse(ErrorCode.CommonIllegalParam, 'setRoomMode', `there is no room mode ${mode}`);
    }
  }

  override setGeoFence(type: ZegoGeoFenceType, areaList: number[]): void {
    this.calls.accepts('setGeoFence', [
      ['type', type, 'count'],
      ['areaList', areaList, 'list'],
    ]);
  }

  override isFeatureSupported(featureType: ZegoFeatureType): boolean {
    return FEATURES.has(featureType);
  }

  override enableExternalRender(enable: boolean): void {
    if (!this.calls.accepts('enableExternalRender', [['enable', enable, 'flag']])) return;
    if (enable && this.reporter.isStrict) throw ZegoError.notBuilt('enableExternalRender(true)');
    if (enable) this.reporter.reportMissing('enableExternalRender');
  }

  override setStreamExtraInfo(extraInfo: string | null, channel: ZegoPublishChannel = 0): Promise<Answer> {
    this.calls.demandEngine('setStreamExtraInfo');
    if (extraInfo === null) return Promise.resolve({ errorCode: ErrorCode.PublisherExtraInfoNull });
    return this.calls.request(
      'setStreamExtraInfo',
      [
        ['extraInfo', extraInfo, 'text?'],
        ['channel', channel, 'count'],
      ],
      (native, request) => native.setStreamExtraInfo(extraInfo ?? '', channel, request),
    );
  }

  override getScreenCaptureSources(
    thumbnailWidth: number,
    thumbnailHeight: number,
    iconWidth: number,
    iconHeight: number,
  ): Promise<ZegoScreenCaptureSourceInfo[]> {
    return this.parts.screen.getScreenCaptureSources(thumbnailWidth, thumbnailHeight, iconWidth, iconHeight);
  }

  /** Creates the native part on first use. */
  private connect(): NativeEngine {
    if (this.native) return this.native;
    const { NativeEngine } = this.load();
    this.native = new NativeEngine((view, slot, width, height) => this.wake(view, slot, width, height));
    this.canvases.attach(this.native);
    return this.native;
  }

  private wake(view: number, slot: number, width: number, height: number): void {
    if (view !== 0) {
      this.canvases.wake(view, slot, width, height);
    } else if (slot === 0) {
      this.events.add(this.native?.drainEvents() ?? '[]');
      this.events.deliver();
    } else {
      // A timer, so that input, layout and painting of the page come first.
      setTimeout(() => this.native?.resume(), 0);
    }
  }

  /** Leaves the rooms when the page or the process ends, so that others need not wait for a timeout. */
  private watchPage(): void {
    if (this.watchesPage) return;
    this.watchesPage = true;
    const leave = () => this.destroyEngine();
    if (typeof window !== 'undefined') window.addEventListener('pagehide', leave);
    process.on('exit', leave);
  }

  static {
    for (const [name, [replacement, run]] of Object.entries(LEGACY_METHODS)) {
      Object.defineProperty(this.prototype, name, {
        configurable: true,
        writable: true,
        value: function (this: ZegoExpressEngine, ...args: never[]): unknown {
          this.failures.printReplaced(name, replacement);
          return run(this, this.parts.rooms, ...args);
        },
      });
    }
  }
}
