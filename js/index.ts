import { ZegoExpressEngine } from './engine';
import { loadNative } from './native';

export = new ZegoExpressEngine(loadNative);
