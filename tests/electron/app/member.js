// A user in plain Node with fake devices: runs the engine's methods as the test asks, and reports all events.
const { join } = require('path');
const engine = require(join(__dirname, '../../../ZegoExpressEngine.js'));

engine.setEngineConfig({
  advancedConfig: { zego_fake_camera: 'pattern', zego_fake_microphone: 'tone', zego_fake_speaker: 'null' },
});
for (const event of [
  'onRoomStateUpdate',
  'onRoomUserUpdate',
  'onRoomStreamUpdate',
  'onPublisherStateUpdate',
  'onPlayerStateUpdate',
  'onPlayerVideoSizeChanged',
  'onPlayerQualityUpdate',
  'onIMRecvBroadcastMessage',
  'onIMRecvCustomCommand',
  'onDebugError',
]) {
  engine.on(event, (param) => process.send({ event, param }));
}

process.on('message', async ({ id, method, args }) => process.send({ id, result: await engine[method](...args) }));
process.on('disconnect', () => process.exit());
