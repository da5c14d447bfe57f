'use strict';

/** Shares a screen or a window in place of the camera: the picker and the source's events. */
function makeScreenShare({ engine, defines, $, render, log }) {
  const { ZegoVideoSourceType: Source, ZegoPublishChannel: Channel } = defines;
  let source;

  const element = (tag, className, ...children) => {
    const made = document.createElement(tag);
    made.className = className;
    made.append(...children);
    return made;
  };

  function picture({ buffer }) {
    return Object.assign(new Image(), { src: `data:image/png;base64,${buffer}`, alt: '' });
  }

  function card(info) {
    const shown = info.thumbnailImage.buffer ? picture(info.thumbnailImage) : 'minimised';
    const name = element('div', 'name', element('span', '', info.sourceName));
    if (info.iconImage.buffer) name.prepend(picture(info.iconImage));
    const button = element('button', 'source', element('div', 'picture', shown), name);
    button.title = info.sourceName;
    button.onclick = () => {
      $('picker').close();
      start(info);
    };
    return button;
  }

  async function fill() {
    try {
      const sources = await engine.getScreenCaptureSources(400, 250, 32, 32);
      $('sources').replaceChildren(...sources.map(card));
    } catch (error) {
      $('sources').replaceChildren(element('p', '', error.message));
    }
  }

  async function choose() {
    $('sources').replaceChildren(element('p', '', 'Looking …'));
    $('picker').showModal();
    await fill();
  }

  function start(info) {
    source = engine.createScreenCaptureSource(info.sourceID, info.sourceType);
    if (!source) return;
    source.on('onExceptionOccurred', (event) => {
      log('onExceptionOccurred', event, true);
      stop();
    });
    for (const name of ['onWindowStateChanged', 'onRectChanged']) source.on(name, (event) => log(name, event));
    const code = engine.setVideoSource(Source.ScreenCapture, source.getIndex(), Channel.Main);
    log('setVideoSource', { screen: info.sourceName, code }, code !== 0);
    source.startCapture();
    render();
  }

  /** Switches back to the camera. */
  function stop() {
    if (!source) return;
    engine.setVideoSource(Source.Camera, 0, Channel.Main);
    engine.destroyScreenCaptureSource(source);
    source = undefined;
    render();
  }

  $('refresh').onclick = fill;
  $('cancel').onclick = () => $('picker').close();

  return { choose, start, stop, isOn: () => Boolean(source), forget: () => (source = undefined) };
}

module.exports = { makeScreenShare };
