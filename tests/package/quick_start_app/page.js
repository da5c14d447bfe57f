// The steps of the quick start, each as its own function for the test.
const zgEngine = window.require('zego-express-engine-electron/ZegoExpressEngine');
const zgDefines = window.require('zego-express-engine-electron/ZegoExpressDefines');

const events = [];
const rejections = [];
window.addEventListener('unhandledrejection', (event) => rejections.push(String(event.reason)));

async function start(userID) {
  const profile = {
    appID: 1234567890,
    appSign: '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
    scenario: zgDefines.ZegoScenario.Default,
  };
  await zgEngine.createEngine(profile);
  for (const name of [
    'onRoomStateUpdate', 'onRoomUserUpdate', 'onRoomStreamUpdate', 'onPublisherStateUpdate', 'onPlayerStateUpdate', 'onDebugError',
  ]) {
    zgEngine.on(name, (param) => events.push({ name, param }));
  }
  zgEngine.loginRoom('TheRoomID', { userID, userName: `张三 李 ${userID}` });
}

function publishAndPreview(streamID) {
  zgEngine.startPublishingStream(streamID);
  const localCanvas = document.getElementById('localCanvas');
  zgEngine.startPreview({ canvas: localCanvas });
}

function play(streamID) {
  const remoteCanvas = document.getElementById('remoteCanvas');
  zgEngine.startPlayingStream(streamID, { canvas: remoteCanvas });
}

function stopPublishing() {
  zgEngine.stopPublishingStream();
  zgEngine.stopPreview();
}

const stopPlaying = (streamID) => zgEngine.stopPlayingStream(streamID);
const leave = () => zgEngine.logoutRoom('TheRoomID');
const destroy = () => zgEngine.destroyEngine();
