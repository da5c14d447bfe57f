import { ZegoExpressEngine } from './engine';
import { loadNative } from './load_native';

export = new ZegoExpressEngine(loadNative);
