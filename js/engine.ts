import { findMistake, type Argument } from './arguments';
import { bindMethods } from './bound_methods';
import { deviceError, LEGACY_METHODS } from './engine_legacy';
import { toUser, type User } from './engine_messages';
import { EngineMissing } from './engine_missing';
import { EngineSettings, type EngineConfig, type LogConfig } from './engine_settings';
import { ZegoError } from './errors';
import Defines = require('./generated/defines');
import ErrorCode = require('./generated/error_codes');
import { restoreValues } from './event_values';
import { ignoredFields } from './ignored_fields';
import type { DeviceInfo, NativeEngine, NativeModule } from './native';
import { settled } from './promises';
import { Requests, type Answer } from './requests';
import { Unheard } from './unheard';
import { Views, type ZegoView } from './view';

export interface EngineProfile {
  appID: number;
  appSign?: string | null;
  scenario?: number | null;
  server?: string | null;
}

export interface RoomConfig {
  maxMemberCount?: number | null;
  isUserStatusNotify?: boolean | null;
  token?: string | null;
}

interface RoomStateChanged {
  roomID: string;
  reason: number;
}

interface PlayerStateChanged {
  streamID: string;
  state: number;
  errorCode: number;
}

/** Events so frequent that the debug assistant leaves them out. */
const FREQUENT = /Quality|SoundLevel|Spectrum|VideoData|AudioData|RecvSEI|Progress|VADState|OnlineUserCount/;
/** What this version can do, of `ZegoFeatureType`. */
const FEATURES: ReadonlySet<number> = new Set([
  Defines.ZegoFeatureType.Audio,
  Defines.ZegoFeatureType.Video,
  Defines.ZegoFeatureType.SEI,
  Defines.ZegoFeatureType.SdkVideoCapture,
  Defines.ZegoFeatureType.SdkVideoRender,
  Defines.ZegoFeatureType.ScreenCapture,
]);
const MAIN: number = Defines.ZegoPublishChannel.Main;

const CHANNELS: readonly number[] = Object.values(Defines.ZegoPublishChannel);
const isChannel = (channel: number) => CHANNELS.includes(channel);

const previewOf = (channel: number) => `preview:${channel}`;
const playerOf = (streamID: string) => `play:${streamID}`;
/** Without a config there is no room; a config that names none is told apart in multi-room mode. */
const toRoomID = (config?: { roomID?: string | null } | null) => (config ? (config.roomID ?? '') : undefined);
const toRoomConfig = (config?: RoomConfig | null) => ({
  maxMemberCount: config?.maxMemberCount ?? 0,
  isUserStatusNotify: config?.isUserStatusNotify ?? false,
  token: config?.token ?? '',
});
const isPlayed = (view: string) => view.startsWith(playerOf(''));

/**
 * The engine as applications know it. Calls return at once and their results come as events; see `index.d.ts` for the
 * methods. Without an engine all but nine methods throw a {@link ZegoError} with code 1000001.
 */
export class ZegoExpressEngine extends EngineMissing {
  private readonly settings = new EngineSettings();
  private readonly requests = new Requests();
  /** The way to the native part, made once for the whole life of the page. */
  private native: NativeEngine | undefined;
  private views: Views | undefined;
  private alive = false;
  private watchesPage = false;
  private debugAssistant = false;
  private microphoneMuted = false;
  private speakerMuted = false;
  private waiting: [string, unknown][] = [];
  /** Logouts under way, and the views that end with them. */
  private logouts: { roomID: string | undefined; views: ReadonlySet<number> }[] = [];
  private readonly unheard = new Unheard((event) => this.listenerCount(event));
  /** Of the last login. */
  lastUser: User = { userID: '' };
  /** Rooms that we are in, by the events so far. */
  private readonly rooms = new Set<string>();
  /** The room that was named when a stream was played, by view. */
  private readonly playedFrom = new Map<string, string>();

  constructor(private readonly load: () => NativeModule) {
    super();
    // Applications add a listener per component; Node's warning about more than ten helps nobody here.
    this.setMaxListeners(0);
    bindMethods(this);
  }

  /** A listener that throws is reported and ends the round of that one event; the engine goes on. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    try {
      return super.emit(event, ...args);
    } catch (error) {
      console.error(`a listener of ${String(event)} threw:`, error);
      return true;
    }
  }

  // ---- engine

  createEngine(profile: EngineProfile): Promise<void> {
    return settled(() => {
      if (this.alive) return;
      this.demand('createEngine', [['profile', profile, 'object']]);
      this.demand('createEngine', [
        ['profile.appID', profile.appID, 'count'],
        ['profile.appSign', profile.appSign, 'text?'],
        ['profile.scenario', profile.scenario, 'count?'],
        ['profile.server', profile.server, 'text?'],
      ]);
      const native = this.connect();
      const { appID, server } = profile;
      const scenario = profile.scenario ?? Defines.ZegoScenario.Default;
      native.create(
        { appID, appSign: profile.appSign ?? '', scenario, ...(server ? { server } : {}) },
        this.settings.forNative(),
      );
      this.alive = true;
      this.watchPage();
    });
  }

  /** The old form of {@link createEngine}; the third argument has no effect. */
  init(appID: number, appSign: string | null, _isTestEnv: boolean, scenario: number): Promise<void> {
    return this.createEngine({ appID, appSign, scenario });
  }

  destroyEngine(): void {
    if (!this.alive || !this.native) return;
    this.alive = false;
    this.views?.closeAll();
    this.logouts = [];
    this.rooms.clear();
    this.playedFrom.clear();
    this.native.destroy();
    this.fetchEvents();
    this.requests.abandon({ errorCode: ErrorCode.CommonEngineNotCreate });
    this.deliver();
    this.forgetScreenSources();
    this.forgetAudioConfig();
    this.forgetMissing();
    this.removeAllListeners();
    this.debugAssistant = this.microphoneMuted = this.speakerMuted = false;
  }

  getVersion(): string {
    return this.load().NativeEngine.getVersion();
  }

  setEngineConfig(config: EngineConfig): void {
    if (!this.accepts('setEngineConfig', [['config', config, 'object']])) return;
    const { advancedConfig, logConfig } = config;
    const args: Argument[] = [
      ['config.advancedConfig', advancedConfig, 'object?'],
      ['config.logConfig', logConfig, 'object?'],
    ];
    if (!this.accepts('setEngineConfig', args)) return;
    if (advancedConfig) this.settings.setAdvanced(advancedConfig);
    if (logConfig) this.setLogConfig(logConfig);
  }

  setLogConfig(config: LogConfig): void {
    if (!this.accepts('setLogConfig', [['config', config, 'object']])) return;
    const args: Argument[] = [
      ['config.logPath', config.logPath, 'text?'],
      ['config.logSize', config.logSize, 'count?'],
      ['config.logCount', config.logCount, 'count?'],
    ];
    if (!this.accepts('setLogConfig', args)) return;
    this.settings.setLog(config);
    this.attempt('setLogConfig', () => this.load().NativeEngine.setLogConfig(this.settings.log));
  }

  setRoomMode(mode: number): void {
    if (!this.accepts('setRoomMode', [['mode', mode, 'count']])) return;
    const { SingleRoom, MultiRoom } = Defines.ZegoRoomMode;
    const late = 'the room mode belongs before createEngine';
    if (this.alive) this.reportMisuse(ErrorCode.EngineSetRoomModeErrorTime, 'setRoomMode', late);
    else if (mode === SingleRoom || mode === MultiRoom) this.settings.multiRoom = mode === MultiRoom;
    else this.reportMisuse(ErrorCode.CommonIllegalParam, 'setRoomMode', `there is no room mode ${mode}`);
  }

  /** A hint to the vendor's cloud; a server of one's own stands where one has put it. */
  setGeoFence(type: number, areaList: number[]): void {
    this.accepts('setGeoFence', [
      ['type', type, 'count'],
      ['areaList', areaList, 'list'],
    ]);
  }

  isFeatureSupported(featureType: number): boolean {
    return FEATURES.has(featureType);
  }

  enableExternalRender(enable: boolean): void {
    if (!this.accepts('enableExternalRender', [['enable', enable, 'flag']])) return;
    if (enable && this.isStrict) throw ZegoError.notBuilt('enableExternalRender(true)');
    if (enable) this.reportMissing('enableExternalRender');
  }

  setRoomScenario(scenario: number): void {
    this.call('setRoomScenario', [['scenario', scenario, 'count']], (native) => native.setRoomScenario(scenario));
  }

  enableDebugAssistant(enable: boolean): void {
    this.call('enableDebugAssistant', [['enable', enable, 'flag']], () => {
      this.debugAssistant = enable;
    });
  }

  callExperimentalAPI(params: string): string {
    const answer = this.call('callExperimentalAPI', [['params', params, 'text']], (native) =>
      native.callExperimentalAPI(params),
    );
    return answer ?? '{}';
  }

  // ---- room

  loginRoom(roomID: string | null, user: User | null, config?: RoomConfig | null): void {
    const args: Argument[] = [
      ['roomID', roomID, 'text?'],
      ['user', user, 'object?'],
      ['user.userID', user?.userID, 'text?'],
      ['user.userName', user?.userName, 'text?'],
      ...roomConfigArguments(config),
    ];
    this.call('loginRoom', args, (native) => {
      this.lastUser = toUser(user ?? { userID: '' });
      native.loginRoom(roomID ?? '', toUser(this.lastUser), toRoomConfig(config));
    });
  }

  switchRoom(fromRoomID: string | null, toRoomID: string | null, config?: RoomConfig | null): void {
    const args: Argument[] = [
      ['fromRoomID', fromRoomID, 'text?'],
      ['toRoomID', toRoomID, 'text?'],
      ...roomConfigArguments(config),
    ];
    this.call('switchRoom', args, (native) => {
      native.switchRoom(fromRoomID ?? '', toRoomID ?? '', toRoomConfig(config));
      if (this.views) this.logouts.push({ roomID: fromRoomID ?? '', views: this.views.started(isPlayed) });
    });
  }

  renewToken(roomID: string | null, token: string | null): void {
    const args: Argument[] = [
      ['roomID', roomID, 'text?'],
      ['token', token, 'text?'],
    ];
    this.call('renewToken', args, (native) => native.renewToken(roomID ?? '', token ?? ''));
  }

  setRoomExtraInfo(roomID: string | null, key: string | null, value: string | null): Promise<Answer> {
    const args: Argument[] = [
      ['roomID', roomID, 'text?'],
      ['key', key, 'text?'],
      ['value', value, 'text?'],
    ];
    return this.ask('setRoomExtraInfo', args, (native, request) =>
      native.setRoomExtraInfo(roomID ?? '', key ?? '', value ?? '', request),
    );
  }

  logoutRoom(roomID?: string | null): void {
    this.call('logoutRoom', [['roomID', roomID, 'text?']], (native) => {
      native.logoutRoom(roomID ?? undefined);
      if (!this.views) return;
      const others = roomID ? [...this.rooms].filter((room) => room !== roomID) : [];
      const ends = (view: string) => others.length === 0 || this.playedFrom.get(view) === roomID;
      this.logouts.push({ roomID: roomID ?? undefined, views: this.views.started(ends) });
    });
  }

  // ---- publishing

  startPublishingStream(streamID: string | null, config?: { roomID?: string | null } | null, channel = MAIN): void {
    const args: Argument[] = [
      ['streamID', streamID, 'text?'],
      ['config', config, 'object?'],
      ['config.roomID', config?.roomID, 'text?'],
      ['channel', channel, 'count'],
    ];
    this.call('startPublishingStream', args, (native) => {
      this.reportIgnored('startPublishingStream', config);
      native.startPublishingStream(streamID ?? '', toRoomID(config), channel);
    });
  }

  setStreamExtraInfo(extraInfo: string | null, channel = MAIN): Promise<Answer> {
    const args: Argument[] = [
      ['extraInfo', extraInfo, 'text?'],
      ['channel', channel, 'count'],
    ];
    if (extraInfo === null) {
      this.demandEngine('setStreamExtraInfo');
      return Promise.resolve({ errorCode: ErrorCode.PublisherExtraInfoNull });
    }
    return this.ask('setStreamExtraInfo', args, (native, request) =>
      native.setStreamExtraInfo(extraInfo ?? '', channel, request),
    );
  }

  stopPublishingStream(channel = MAIN): void {
    this.call('stopPublishingStream', [['channel', channel, 'count']], (native) =>
      native.stopPublishingStream(channel),
    );
  }

  startPreview(view?: ZegoView | null, channel = MAIN): void {
    const args: Argument[] = [...viewArguments(view), ['channel', channel, 'count']];
    this.call('startPreview', args, (native) =>
      // A channel that does not exist is refused later, by an event: nothing may be left on the canvas until then.
      this.openView('startPreview', previewOf(channel), isChannel(channel) ? view : null, (id) =>
        native.startPreview(channel, id),
      ),
    );
  }

  stopPreview(channel = MAIN): void {
    this.call('stopPreview', [['channel', channel, 'count']], (native) => {
      native.stopPreview(channel);
      this.views?.close(previewOf(channel));
    });
  }

  mutePublishStreamAudio(mute: boolean, channel = MAIN): void {
    const args: Argument[] = [
      ['mute', mute, 'flag'],
      ['channel', channel, 'count'],
    ];
    this.call('mutePublishStreamAudio', args, (native) => native.mutePublishStreamAudio(mute, channel));
  }

  // ---- playing

  startPlayingStream(
    streamID: string | null,
    view?: ZegoView | null,
    config?: { roomID?: string | null; cdnConfig?: object | null } | null,
  ): void {
    const args: Argument[] = [
      ['streamID', streamID, 'text?'],
      ...viewArguments(view),
      ['config', config, 'object?'],
      ['config.roomID', config?.roomID, 'text?'],
    ];
    this.call('startPlayingStream', args, (native) => {
      this.reportIgnored('startPlayingStream', config);
      this.openView('startPlayingStream', playerOf(streamID ?? ''), view, (id) =>
        native.startPlayingStream(streamID ?? '', id, toRoomID(config)),
      );
      this.playedFrom.set(playerOf(streamID ?? ''), config?.roomID ?? '');
    });
  }

  stopPlayingStream(streamID: string | null): void {
    this.call('stopPlayingStream', [['streamID', streamID, 'text?']], (native) => {
      native.stopPlayingStream(streamID ?? '');
      this.playedFrom.delete(playerOf(streamID ?? ''));
      this.views?.close(playerOf(streamID ?? ''));
    });
  }

  setPlayVolume(streamID: string, volume: number): void {
    const args: Argument[] = [
      ['streamID', streamID, 'text'],
      ['volume', volume, 'count'],
    ];
    this.call('setPlayVolume', args, (native) => native.setPlayVolume(streamID, volume));
  }

  // ---- devices

  muteMicrophone(mute: boolean): void {
    this.call('muteMicrophone', [['mute', mute, 'flag']], (native) => {
      this.microphoneMuted = mute;
      native.muteMicrophone(mute);
    });
  }

  isMicrophoneMuted(): boolean {
    return this.call('isMicrophoneMuted', [], () => this.microphoneMuted) ?? false;
  }

  muteSpeaker(mute: boolean): void {
    this.call('muteSpeaker', [['mute', mute, 'flag']], (native) => {
      this.speakerMuted = mute;
      native.muteSpeaker(mute);
    });
  }

  isSpeakerMuted(): boolean {
    return this.call('isSpeakerMuted', [], () => this.speakerMuted) ?? false;
  }

  getAudioDeviceList(deviceType: number): DeviceInfo[] {
    const args: Argument[] = [['deviceType', deviceType, 'count']];
    return this.call('getAudioDeviceList', args, (native) => native.getAudioDeviceList(deviceType)) ?? [];
  }

  useAudioDevice(deviceID: string, deviceType: number): void {
    const args: Argument[] = [
      ['deviceID', deviceID, 'text'],
      ['deviceType', deviceType, 'count'],
    ];
    this.call('useAudioDevice', args, (native) => native.useAudioDevice(deviceID, deviceType));
  }

  // ---- inside

  /** The native part, or the error that every method throws without an engine. */
  protected override demandEngine(method: string): NativeEngine {
    if (!this.alive || !this.native) throw ZegoError.withoutEngine(method);
    return this.native;
  }

  /** Runs a method of the engine: wrong arguments and refusals are told by `onDebugError`. */
  protected override call<T>(method: string, args: readonly Argument[], run: (native: NativeEngine) => T): T | undefined {
    const native = this.demandEngine(method);
    return this.accepts(method, args) ? this.attempt(method, () => run(native)) : undefined;
  }

  /** Runs a method that answers by a promise. */
  protected override ask(
    method: string,
    args: readonly Argument[],
    run: (native: NativeEngine, request: number) => void,
  ): Promise<Answer> {
    const native = this.demandEngine(method);
    return settled(() => {
      this.demand(method, args);
      return this.requests.open((request) => run(native, request));
    });
  }

  private attempt<T>(method: string, run: () => T): T | undefined {
    try {
      return run();
    } catch (thrown) {
      const error = ZegoError.fromNative(thrown);
      this.reportMisuse(error.code, method, error.message);
      return undefined;
    }
  }

  private accepts(method: string, args: readonly Argument[]): boolean {
    const mistake = findMistake(args);
    if (mistake) this.reportMisuse(ErrorCode.CommonIllegalParam, method, mistake);
    if (mistake && this.isStrict) throw new ZegoError(ErrorCode.CommonIllegalParam, `${method}: ${mistake}`);
    return !mistake;
  }

  /** Fields that nothing comes of are told once each. */
  private reportIgnored(method: 'startPublishingStream' | 'startPlayingStream', config: object | null | undefined): void {
    for (const field of ignoredFields(method, config)) this.reportMissing(method, `${method}: config.${field}`);
  }

  protected override get isStrict(): boolean {
    return this.settings.isStrict;
  }

  private demand(method: string, args: readonly Argument[]): void {
    const mistake = findMistake(args);
    if (!mistake) return;
    this.reportMisuse(ErrorCode.CommonIllegalParam, method, mistake);
    throw new ZegoError(ErrorCode.CommonIllegalParam, `${method}: ${mistake}`);
  }

  /** The documents call the text `info` in one place and `errorInfo` in another: both are there. */
  protected override reportMisuse(errorCode: number, funcName: string, info: string): void {
    const error = { errorCode, funcName, info, errorInfo: info };
    const heard = this.emit('onDebugError', error);
    if (this.debugAssistant) this.unheard.say(`${funcName}: ${info} (${errorCode})`);
    else if (!heard) this.unheard.tell('onDebugError', error);
  }

  /** Starts a stream on a canvas; on one that cannot be used it starts without, and the reason is told. */
  private openView(
    method: string,
    stream: string,
    view: ZegoView | null | undefined,
    start: (view: number | undefined) => void,
  ): void {
    let isStarted = false;
    try {
      this.views?.open(stream, view, this.settings.desynchronized, (id) => {
        isStarted = true;
        start(id);
      });
    } catch (thrown) {
      if (isStarted) throw thrown;
      const error = ZegoError.fromNative(thrown);
      this.reportMisuse(error.code, method, error.message);
      this.views?.open(stream, null, false, start);
    }
  }

  private connect(): NativeEngine {
    if (this.native) return this.native;
    const { NativeEngine } = this.load();
    const native = new NativeEngine((view, slot, width, height) => this.wake(view, slot, width, height));
    this.views = new Views(native);
    this.native = native;
    return native;
  }

  private wake(view: number, slot: number, width: number, height: number): void {
    if (view !== 0) {
      if (slot >= 0) this.views?.draw(view, slot);
      else this.views?.makeRing(view, width, height);
    } else if (slot === 0) {
      this.fetchEvents();
      this.deliver();
    } else {
      // A timer: input, layout and painting of the page come first.
      setTimeout(() => this.native?.resume(), 0);
    }
  }

  private fetchEvents(): void {
    const events = JSON.parse(this.native?.drainEvents() ?? '[]') as [string, unknown][];
    this.waiting.push(...events);
  }

  /** Hands out what waits, in order. A listener that destroys the engine comes back in here for the rest. */
  private deliver(): void {
    for (let next = this.waiting.shift(); next; next = this.waiting.shift()) {
      const [name, payload] = next;
      if (this.requests.answers(name, payload)) continue;
      restoreValues(name, payload);
      if (name === 'onRoomStateChanged') this.endLogout(payload as RoomStateChanged);
      if (name === 'onPlayerStateUpdate') this.endPlaying(payload as PlayerStateChanged);
      this.tellScreenSource(name, payload);
      if (this.debugAssistant && !FREQUENT.test(name)) console.log(name, payload);
      if (!this.emit(name, payload)) this.unheard.tell(name, payload);
      if (name === 'onLocalDeviceExceptionOccurred') this.tellDeviceError(payload);
    }
  }

  /** For those who still listen to the event of older versions. */
  private tellDeviceError(payload: unknown): void {
    if (this.emit('onDeviceError', deviceError(payload))) this.tellReplaced('onDeviceError', 'onLocalDeviceExceptionOccurred');
  }

  private tellReplaced(name: string, now: string): void {
    this.unheard.once(name, `${name} is of an older version; it is ${now} now`);
  }

  /**
   * A logout stops what is played and previewed, a kick-out and a failed reconnect what is played: those canvases are
   * given back when it has happened.
   */
  private endLogout({ roomID, reason }: RoomStateChanged): void {
    const { Logined, LoginFailed, KickOut, Logout, LogoutFailed, ReconnectFailed } = Defines.ZegoRoomStateChangedReason;
    if (reason === Logined) this.rooms.add(roomID);
    const isOver = reason === KickOut || reason === ReconnectFailed || reason === Logout || reason === LoginFailed;
    if (isOver) this.rooms.delete(roomID);
    if (reason === KickOut || reason === ReconnectFailed) {
      const ends = (view: string) => isPlayed(view) && (this.rooms.size === 0 || this.playedFrom.get(view) === roomID);
      if (this.views) this.views.closeStarted(this.views.started(ends));
    }
    if (reason !== Logout && reason !== LogoutFailed) return;
    const ended = this.logouts.filter((logout) => logout.roomID === undefined || logout.roomID === roomID);
    this.logouts = this.logouts.filter((logout) => !ended.includes(logout));
    if (reason === Logout) for (const { views } of ended) this.views?.closeStarted(views);
  }

  /** A player that was refused, or was ended, gives its canvas back. */
  private endPlaying({ streamID, state, errorCode }: PlayerStateChanged): void {
    if (state === Defines.ZegoPlayerState.NoPlay && errorCode !== 0) this.views?.close(playerOf(streamID));
  }

  /** A page that goes, or a process that ends, leaves its rooms instead of being missed there. */
  private watchPage(): void {
    if (this.watchesPage) return;
    this.watchesPage = true;
    const leave = () => this.destroyEngine();
    if (typeof window !== 'undefined') window.addEventListener('pagehide', leave);
    process.on('exit', leave);
  }

  static {
    for (const [name, [now, run]] of Object.entries(LEGACY_METHODS)) {
      Object.defineProperty(this.prototype, name, {
        configurable: true,
        writable: true,
        value: function (this: ZegoExpressEngine, ...values: never[]): unknown {
          this.tellReplaced(name, now);
          return run(this, ...values);
        },
      });
    }
  }
}

function roomConfigArguments(config: RoomConfig | null | undefined): Argument[] {
  return [
    ['config', config, 'object?'],
    ['config.maxMemberCount', config?.maxMemberCount, 'count?'],
    ['config.isUserStatusNotify', config?.isUserStatusNotify, 'flag?'],
    ['config.token', config?.token, 'text?'],
  ];
}

function viewArguments(view: ZegoView | null | undefined): Argument[] {
  return [
    ['view', view, 'object?'],
    ['view.canvas', view?.canvas, 'object?'],
    ['view.viewMode', view?.viewMode, 'count?'],
    ['view.backgroundColor', view?.backgroundColor, 'count?'],
    ['view.drawHidden', view?.drawHidden, 'flag?'],
  ];
}
