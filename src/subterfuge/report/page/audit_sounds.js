// The embedded sounds: decoded once they are wanted, and their difference, which is in no file.

const AIM = 10 ** (-3 / 20); // of the peak of the amplified difference

function bytesOf(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/**
 * Put samples back on the steps of their file. Some browsers divide those above 0 by one less than those below (32767
 * and 32768), which is the scale that they then fit.
 */
function onSteps(samples, bits) {
  const full = 2 ** (bits - 1);
  const some = samples.filter((x) => x > 0).subarray(0, 4096);
  const misfit = (scale) => some.reduce((sum, x) => sum + Math.abs(x * scale - Math.round(x * scale)), 0);
  const above = misfit(full - 1) < misfit(full) ? full - 1 : full;
  return samples.map((x) => Math.round(x * (x > 0 ? above : full)) / full);
}

/** Decode a FLAC file of 16 or 24 bits at its own rate; gives an array of channels, the very samples of the file. */
async function decodeFlac(base64, rate, bits) {
  const context = new OfflineAudioContext(1, 1, rate);
  const buffer = await context.decodeAudioData(bytesOf(base64).buffer);
  return Array.from({ length: buffer.numberOfChannels }, (_, channel) => onSteps(buffer.getChannelData(channel), bits));
}

const peakOf = (sound) => sound.reduce((most, channel) => channel.reduce((top, x) => Math.max(top, Math.abs(x)), most), 0);
const powerOf = (sound) =>
  sound.reduce((sum, channel) => sum + channel.reduce((all, x) => all + x * x, 0), 0) / (sound.length * sound[0].length);

/** B minus A, sample by sample; the same amplified to a peak of -3 dB of full scale, and by how much that is. */
function differenceOf(a, b) {
  const change = a.map((channel, c) => channel.map((value, i) => b[c][i] - value));
  const peak = peakOf(change);
  const gain = peak > 0 ? AIM / peak : 1;
  const louder = 10 * Math.log10((gain * gain * powerOf(change)) / powerOf(a));
  return {
    change,
    amplified: change.map((channel) => channel.map((value) => gain * value)),
    peak,
    db: 20 * Math.log10(gain),
    louder, // by how much the amplified difference is louder than A, in dB
  };
}

/** The least and the largest sample of each of some stretches. */
function outlineOf(sound, columns) {
  const length = sound[0].length;
  const [low, high] = [new Float32Array(columns), new Float32Array(columns)];
  for (let i = 0; i < columns; i += 1) {
    const [first, last] = [Math.floor((i * length) / columns), Math.max(1, Math.floor(((i + 1) * length) / columns))];
    for (const channel of sound) {
      for (let k = first; k < last; k += 1) {
        if (channel[k] < low[i]) low[i] = channel[k];
        if (channel[k] > high[i]) high[i] = channel[k];
      }
    }
  }
  return [low, high];
}
