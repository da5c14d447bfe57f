// One side of a call, from the moment that the page is there: publishes, previews and plays the other side.
// In a worker there is no canvas: publishes only.
const inPage = typeof document !== 'undefined';
const { join } = require('path');
const root = inPage ? join(__dirname, '../../..') : decodeURIComponent(new URL('../../..', location.href).pathname);
const engine = require(join(root, 'ZegoExpressEngine.js'));

engine.setEngineConfig({
  advancedConfig: { zego_fake_camera: 'pattern', zego_fake_microphone: 'tone', zego_fake_speaker: 'null' },
});
engine
  .createEngine({ appID: 1234567890, appSign: '0123456789abcdef'.repeat(4), scenario: 3, server: process.env.TEST_SERVER })
  .then(() => {
    engine.loginRoom('room', { userID: 'A', userName: 'A' });
    engine.startPublishingStream('A');
    if (!inPage) return;
    engine.startPreview({ canvas: document.getElementById('local') });
    engine.startPlayingStream('B', { canvas: document.getElementById('remote') });
  });

if (inPage) {
  /** Pictures drawn so far of the other side and of the own camera. */
  window.drawn = () => {
    const { players, previews } = JSON.parse(engine.callExperimentalAPI('{"method": "getStats"}'));
    return { remote: players[0]?.view?.drawn ?? 0, local: previews[0]?.view?.drawn ?? 0 };
  };
}
