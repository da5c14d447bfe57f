import { Audio } from './audio';
import type { Calls } from './calls';
import type { Canvases } from './canvases';
import { Devices } from './devices';
import { DebugAssistant } from './debug_assistant';
import { Messages } from './messages';
import { Missing } from './missing';
import { Network } from './network';
import { Play } from './play';
import { Publish } from './publish';
import type { Reporter } from './reporter';
import { Rooms } from './rooms';
import { ScreenSources } from './screen';
import { Video } from './video';

/** The parts of an engine: calls that need more than the native method of their name, by domain. */
export class Parts {
  readonly engine: DebugAssistant;
  readonly rooms = new Rooms();
  readonly publish: Publish;
  readonly play: Play;
  readonly audio: Audio;
  readonly video: Video;
  readonly devices = new Devices();
  readonly messages = new Messages();
  readonly network = new Network();
  readonly screen: ScreenSources;
  readonly missing: Missing;

  constructor(calls: Calls, reporter: Reporter, canvases: Canvases) {
    this.engine = new DebugAssistant(reporter);
    this.publish = new Publish(reporter, canvases);
    this.play = new Play(reporter, canvases);
    this.audio = new Audio(reporter);
    this.video = new Video(reporter);
    this.screen = new ScreenSources(calls);
    this.missing = new Missing(calls, reporter);
  }

  /** Restores the state of a new engine. */
  reset(): void {
    this.screen.reset();
    this.audio.reset();
    this.devices.reset();
  }
}
