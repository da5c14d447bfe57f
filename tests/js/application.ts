// Compiled, never run: code as applications in TypeScript write it.
import zego = require('../../ZegoExpressEngine');
import Defines = require('../../ZegoExpressDefines');
import { ZegoScenario, ZegoVideoMirrorMode, type ZegoUser, type ZegoView } from '../../ZegoExpressDefines';
import ScreenCaptureSource = require('../../ZegoExpressScreenCaptureSource');
import MediaPlayer = require('../../ZegoExpressMediaPlayer');

zego.on('onRoomStateUpdate', ({ roomID, state, errorCode }) => {
  const text: string = roomID;
  if (state === Defines.ZegoRoomState.Connected && errorCode === 0) console.log(text);
});
zego.on('onRoomStreamUpdate', ({ streamList, updateType }) => {
  if (updateType === Defines.ZegoUpdateType.Add) for (const stream of streamList) zego.startPlayingStream(stream.streamID!);
});
// @ts-expect-error: events have no such field
zego.on('onPlayerStateUpdate', ({ room }) => console.log(room));
zego.addListener('onDebugError', ({ errorInfo, info }) => console.log(errorInfo.length, info.length));
zego.prependListener('onRemoteSoundLevelInfoUpdate', ({ soundLevelInfos }) => soundLevelInfos.get('s')?.soundLevel);
zego.on('onRemoteSoundLevelUpdate', ({ soundLevels }) => soundLevels['s']?.toFixed(1));
zego.on('onRemoteAudioSpectrumUpdate', ({ audioSpectrums }) => audioSpectrums['s']?.length);
zego.on('onRemotePlayVideoData', ({ width, height, data }) => console.log(width! * height!, data?.length));

// Enums are types and values, and accept computed numbers.
const scenario: ZegoScenario = ZegoScenario.Default;
let mirror: ZegoVideoMirrorMode = ZegoVideoMirrorMode.NoMirror;
const user: ZegoUser = { userID: 'u', userName: '张三' };
const view: ZegoView = { canvas: document.querySelector('canvas')!, viewMode: 0, drawHidden: true };
const next = (mode: number) => (mode + 1) % 4;
mirror = next(mirror);
zego.setVideoMirrorMode(mirror);
zego.setVideoMirrorMode(next(2));
// @ts-expect-error: no such mode
zego.setVideoMirrorMode(17);

const profile: zego.ZegoEngineProfile = { appID: 1, appSign: '', scenario };
zego.createEngine(profile).then(() => {
  zego.loginRoom('room', user, { isUserStatusNotify: true });
  zego.startPreview(view);
});
zego.sendBroadcastMessage('room', 'text').then(({ errorCode, messageID }) => errorCode + messageID);
zego.takePlayStreamSnapshot('stream').then(({ errorCode, image }) => errorCode === 0 && image.length);
// @ts-expect-error: it resolves with no such field
zego.setRoomExtraInfo('room', 'key', 'value').then(({ messageID }) => messageID);
zego.setEngineConfig({ advancedConfig: { server_url: 'ws://127.0.0.1', zego_fake_camera: 'pattern', retry: 3 } });
zego.sendSEI(new Uint8Array(3));
zego.setVideoSource(Defines.ZegoVideoSourceType.Camera);

zego.getScreenCaptureSources(400, 400, 100, 100).then(([first]) => {
  const source: zego.ZegoScreenCaptureSource | null = zego.createScreenCaptureSource(first!.sourceID!, first!.sourceType!);
  // @ts-expect-error: there may be none
  source.startCapture();
  if (!source) return;
  source.on('onExceptionOccurred', ({ exceptionType }) => exceptionType === 1 && zego.destroyScreenCaptureSource(source));
  zego.setVideoSource(Defines.ZegoVideoSourceType.ScreenCapture, source.getIndex(), 0);
  source.startCapture();
});
zego.on('SCREENCAPTURE_onRectChanged', ({ index, captureRect }) => console.log(index + 1, captureRect.width));
const made: unknown = zego;
if (made instanceof ScreenCaptureSource) made.stopCapture();

const player = zego.createMediaPlayer();
player?.on('onMediaPlayerStateUpdate', ({ state }) => state === Defines.ZegoMediaPlayerState.Playing && player.pause());
player?.loadResource('file.mp4').then(({ errorCode }) => errorCode === 0 && player.start());
zego.on('MEDIAPLAYER_onMediaPlayerPlayingProgress', ({ millisecond }) => millisecond / 1000);
if (made instanceof MediaPlayer) zego.destroyMediaPlayer(made);
let kept: MediaPlayer | undefined;
kept = player ?? undefined;
zego.createAudioEffectPlayer()?.on('onAudioEffectPlayStateUpdate', ({ audioEffectID }) => audioEffectID + 1);
zego.createCopyrightedMusic()?.on('onDownloadProgressUpdate', ({ progressRate }) => progressRate / 100);
console.log(kept);
