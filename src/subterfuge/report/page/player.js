// Sounds of one length that run in step, of which one is heard. Times are in seconds.

const FADE = 0.01; // from one sound to another: both run on, and their gains always sum to 1
const LEAD = 0.04; // so far ahead a change is scheduled, so that all of it lies in the future
const EDGE = 0.005; // fade at both ends of the loop
const SHORTEST = 0.05; // loop

/** Read samples written as base64: "s16", "s24" or "f32", little-endian, channels interleaved. */
function decodeSound(base64, format, channels, gain) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  const view = new DataView(bytes.buffer);
  const [width, read] = {
    s16: [2, (at) => view.getInt16(at, true) / 32768],
    s24: [3, (at) => (view.getInt8(at + 2) * 65536 + view.getUint16(at, true)) / 8388608],
    f32: [4, (at) => view.getFloat32(at, true)],
  }[format];
  const frames = bytes.length / width / channels;
  return Array.from({ length: channels }, (_, channel) => {
    const samples = new Float32Array(frames);
    for (let i = 0; i < frames; i += 1) samples[i] = gain * read((i * channels + channel) * width);
    return samples;
  });
}

/** Open the audio output at the sounds' own rate, or, where the browser refuses that, at its own. */
function openContext(sampleRate) {
  try {
    return new AudioContext({ sampleRate, latencyHint: "interactive" });
  } catch {
    return new AudioContext({ latencyHint: "interactive" });
  }
}

function makePlayer(sampleRate) {
  const context = openContext(sampleRate);
  context.createBuffer(1, 1, sampleRate); // throws, and at once, where sounds of this rate cannot be played at all
  const output = context.createGain();
  output.connect(context.destination);
  let sounds = []; // each an array of channels
  let loops = null; // the looped part of each, as AudioBuffers
  let [from, to] = [0, 0];
  let position = 0; // where to go on
  let selected = 0;
  let deck = null; // what runs now

  /** Bring a time onto a sample: between two of them a browser interpolates, and would play other samples. */
  const onSample = (time, rate) => Math.round(time * rate) / rate;
  const soon = () => onSample(context.currentTime + LEAD, context.sampleRate);
  const length = () => (sounds.length ? sounds[0][0].length / sampleRate : 0);

  function load(all, keepLoop) {
    stop();
    sounds = all;
    loops = null;
    selected = 0;
    if (!keepLoop || to > length()) [from, to] = [0, length()];
    position = from;
  }

  function cut(sound) {
    const first = Math.round(from * sampleRate);
    const count = Math.round(to * sampleRate) - first;
    const edge = Math.min(Math.round(EDGE * sampleRate), count >> 2);
    const buffer = context.createBuffer(sound.length, count, sampleRate);
    sound.forEach((samples, channel) => {
      const part = samples.slice(first, first + count);
      for (let i = 0; i < edge; i += 1) {
        part[i] *= (i + 0.5) / edge;
        part[count - 1 - i] *= (i + 0.5) / edge;
      }
      buffer.copyToChannel(part, channel);
    });
    return buffer;
  }

  function start() {
    loops ??= sounds.map(cut);
    const when = soon();
    const fader = context.createGain();
    fader.connect(output);
    fader.gain.setValueAtTime(0, when);
    fader.gain.linearRampToValueAtTime(1, when + FADE);
    const tracks = loops.map((buffer, i) => {
      const source = context.createBufferSource();
      const gain = context.createGain();
      source.buffer = buffer;
      source.loop = true;
      source.connect(gain);
      gain.connect(fader);
      gain.gain.setValueAtTime(i === selected ? 1 : 0, context.currentTime);
      source.start(when, onSample(position - from, sampleRate));
      return { source, gain: gain.gain, from: i === selected ? 1 : 0, to: i === selected ? 1 : 0, when };
    });
    deck = { fader, tracks, when, position };
    context.resume().catch(() => {});
  }

  function stop() {
    if (!deck) return;
    position = now();
    const when = soon();
    const { fader, tracks } = deck;
    fader.gain.linearRampToValueAtTime(1, when);
    fader.gain.linearRampToValueAtTime(0, when + FADE);
    for (const { source } of tracks) source.stop(when + FADE);
    tracks[0].source.onended = () => fader.disconnect();
    deck = null;
  }

  function now() {
    if (!deck) return position;
    const gone = Math.max(0, context.currentTime - deck.when);
    return from + ((deck.position - from + gone) % (to - from));
  }

  function again(change) {
    const running = deck !== null;
    stop();
    change();
    position = Math.min(Math.max(position, from), to);
    if (position >= to) position = from;
    if (running) start();
  }

  function select(i) {
    selected = i;
    if (!deck) return;
    const when = soon();
    deck.tracks.forEach((track, k) => {
      const gone = Math.min(1, Math.max(0, (when - track.when) / FADE));
      const value = track.from + (track.to - track.from) * gone; // where a fade that is under way will be
      track.gain.linearRampToValueAtTime(value, when); // in this order, so that nothing before `when` ever changes
      track.gain.cancelScheduledValues(when + FADE / 100);
      track.gain.linearRampToValueAtTime(k === i ? 1 : 0, when + FADE);
      Object.assign(track, { from: value, to: k === i ? 1 : 0, when });
    });
  }

  return {
    load,
    select,
    start: () => deck ?? start(),
    stop,
    now,
    length,
    seek: (time) => again(() => (position = time)),
    loop: (start, end) =>
      again(() => {
        const least = Math.min(SHORTEST, length());
        from = Math.min(Math.max(0, Math.min(start, end)), length() - least);
        to = Math.min(length(), Math.max(from + least, Math.max(start, end)));
        loops = null;
      }),
    volume: (value) => output.gain.setTargetAtTime(value, context.currentTime, 0.01),
    close: () => context.close(),
    get playing() { return deck !== null; },
    get selected() { return selected; },
    get from() { return from; },
    get to() { return to; },
    get rate() { return context.sampleRate; },
  };
}
