// Waveforms and spectrograms on canvases.

const RANGE_DB = 80; // of a picture, from its strongest cell down
const FLOOR_DB = -200; // of the byte 0
const HERTZ = [100, 500, 1000, 2000, 5000, 10000, 20000, 40000];
const mel = (hz) => Math.log10(1 + hz / 700);

/** A colour of even steps of lightness, from dark blue to pale yellow, for 0 to 1 (made in OKLCH, given as sRGB). */
function shade(part) {
  const lightness = 0.13 + 0.84 * part;
  const hue = ((295 - 200 * part ** 1.6) * Math.PI) / 180;
  const chroma = 0.03 + 0.1 * Math.sin(Math.PI * part ** 0.85);
  const [a, b] = [chroma * Math.cos(hue), chroma * Math.sin(hue)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((x) => 255 * Math.min(1, Math.max(0, x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055)));
}
const SHADES = Array.from({ length: 256 }, (_, i) => shade(i / 255));
const ABOVE = [255, 74, 48];

/** Read a picture: deflated differences from column to column, lowest row first. */
async function unpack(base64, rows, columns) {
  const stream = new Blob([bytesOf(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const cells = new Uint8Array(await new Response(stream).arrayBuffer());
  for (let row = 0; row < rows; row += 1) {
    for (let i = row * columns + 1; i < (row + 1) * columns; i += 1) cells[i] += cells[i - 1]; // modulo 256
  }
  return cells;
}

const strongest = (cells) => cells.reduce((most, one) => Math.max(most, one), 0) + FLOOR_DB;

/** Colour cells from `top` dB down; those where `above` is not 0 stand out, the more the larger it is. */
function coloured(cells, rows, columns, top, above = null) {
  const image = new ImageData(columns, rows);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const i = row * columns + column;
      const part = Math.min(1, Math.max(0, 1 + (cells[i] + FLOOR_DB - top) / RANGE_DB));
      const colour = SHADES[Math.round(255 * part)];
      const weight = above && above[i] ? 0.35 + 0.65 * Math.sqrt(above[i] / 255) : 0;
      const at = 4 * ((rows - 1 - row) * columns + column);
      for (let k = 0; k < 3; k += 1) image.data[at + k] = (1 - weight) * colour[k] + weight * ABOVE[k];
      image.data[at + 3] = 255;
    }
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [columns, rows];
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Make a canvas as fine as the screen; gives its context, width and height in CSS pixels, and colours. */
function prepared(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const fine = window.devicePixelRatio || 1;
  [canvas.width, canvas.height] = [Math.max(1, Math.round(width * fine)), Math.max(1, Math.round(height * fine))];
  const context = canvas.getContext("2d");
  context.scale(fine, fine);
  context.font = "11px system-ui, sans-serif";
  const style = getComputedStyle(canvas);
  const probe = canvas.parentElement.appendChild(document.createElement("i"));
  const colour = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const found = { ink: style.color, soft: colour("--soft"), line: colour("--line"), wave: colour("--wave"), card: colour("--card"), accent: colour("--accent") };
  probe.remove();
  return { context, width, height, colours: found };
}

/** Draw a spectrogram with its axes: seconds, hertz, and decibels by colour. */
function spectrogram(canvas, image, about) {
  const { context, width, height, colours: ink } = prepared(canvas);
  const box = { left: 40, right: 52, top: 6, bottom: 30 };
  const [wide, high] = [width - box.left - box.right, height - box.top - box.bottom];
  context.imageSmoothingEnabled = true;
  context.imageSmoothingQuality = "high";
  context.drawImage(image, box.left, box.top, wide, high);
  context.fillStyle = ink.soft;
  context.strokeStyle = ink.soft;
  context.textBaseline = "middle";
  context.textAlign = "right";
  let lowest = Infinity;
  for (const hz of HERTZ.filter((one) => one < about.rate / 2)) {
    const y = box.top + high * (1 - mel(hz) / mel(about.rate / 2));
    if (lowest - y < 13 || y < box.top + 17) continue;
    lowest = y;
    context.fillText(hz < 1000 ? String(hz) : `${hz / 1000}k`, box.left - 6, y);
    context.fillRect(box.left - 4, Math.round(y), 4, 1);
  }
  context.fillText("Hz", box.left - 6, box.top + 4);
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const second of ticks(about.start, about.start + about.seconds, Math.max(2, Math.floor(wide / 70)))) {
    const x = box.left + (wide * (second - about.start)) / about.seconds;
    context.fillText(`${figure(second)} s`, Math.min(x, width - box.right - 6), box.top + high + 7);
    context.fillRect(Math.round(x), box.top + high, 1, 4);
  }
  const bar = { x: width - box.right + 10, width: 8 };
  for (let i = 0; i < high; i += 1) {
    const [red, green, blue] = SHADES[Math.round(255 * (1 - i / high))];
    context.fillStyle = `rgb(${red} ${green} ${blue})`;
    context.fillRect(bar.x, box.top + i, bar.width, 1.5);
  }
  context.fillStyle = ink.soft;
  context.textAlign = "left";
  for (const [words, y] of [[figure(about.top, 0), box.top], [figure(about.top - RANGE_DB, 0), box.top + high - 11], ["dB", box.top + high + 7]]) {
    context.fillText(words, bar.x + (words === "dB" ? 0 : bar.width + 4), y);
  }
}

/** Draw waveforms one below the other: lanes are { name, low, high, full }, full the sample at a lane's edge. */
function waveforms(canvas, lanes, selected) {
  const { context, width, height, colours: ink } = prepared(canvas);
  const tall = height / lanes.length;
  lanes.forEach((lane, i) => {
    const middle = tall * (i + 0.5);
    context.fillStyle = ink.line;
    context.fillRect(0, Math.round(middle), width, 1);
    if (i) context.fillRect(0, Math.round(tall * i), width, 1);
    context.fillStyle = i === selected ? ink.accent : ink.wave;
    const count = lane.low.length;
    const scale = (0.46 * tall) / (lane.full || 1);
    for (let k = 0; k < count; k += 1) {
      const [top, bottom] = [middle - scale * lane.high[k], middle - scale * lane.low[k]];
      context.fillRect((k * width) / count, top, Math.max(1, width / count), Math.max(1, bottom - top));
    }
    context.globalAlpha = 0.8;
    context.fillStyle = ink.card;
    context.fillRect(0, tall * i + 2, context.measureText(lane.name).width + 8, 15);
    context.globalAlpha = 1;
    context.fillStyle = ink.ink;
    context.textBaseline = "top";
    context.fillText(lane.name, 4, tall * i + 4);
  });
}
