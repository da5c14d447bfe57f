//! Audio: devices, processing, codec, jitter buffer, mixer. 48 kHz and 10 ms frames inside.
