// Compiled, never run: what an application in TypeScript writes.
import zego = require('../../ZegoExpressEngine');
import Defines = require('../../ZegoExpressDefines');
import ScreenCaptureSource = require('../../ZegoExpressScreenCaptureSource');

zego.on('onRoomStateUpdate', ({ roomID, state, errorCode }) => {
  const text: string = roomID;
  if (state === Defines.ZegoRoomState.Connected && errorCode === 0) console.log(text);
});
zego.on('onRoomStreamUpdate', ({ streamList, updateType }) => {
  if (updateType === Defines.ZegoUpdateType.Add) for (const stream of streamList) zego.startPlayingStream(stream.streamID!);
});
// @ts-expect-error: events have no such field
zego.on('onPlayerStateUpdate', ({ room }) => console.log(room));

const profile: zego.ZegoEngineProfile = { appID: 1, appSign: '', scenario: Defines.ZegoScenario.Default };
zego.createEngine(profile).then(() => {
  zego.loginRoom('room', { userID: 'u', userName: 'U' }, { isUserStatusNotify: true });
  zego.startPreview({ canvas: document.querySelector('canvas')! });
});

zego.getScreenCaptureSources(400, 400, 100, 100).then(([first]) => {
  const source: zego.ZegoScreenCaptureSource = zego.createScreenCaptureSource(first!.sourceID!, first!.sourceType!);
  source.on('onExceptionOccurred', ({ exceptionType }) => exceptionType === 1 && zego.destroyScreenCaptureSource(source));
  zego.setVideoSource(Defines.ZegoVideoSourceType.ScreenCapture, source.getIndex(), 0);
  source.startCapture();
});
zego.on('SCREENCAPTURE_onRectChanged', ({ index, captureRect }) => console.log(index + 1, captureRect.width));
const made: unknown = zego;
if (made instanceof ScreenCaptureSource) made.stopCapture();
