//! Video: frames, sources, codecs, colour.
