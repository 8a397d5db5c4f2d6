// Writes pictures of user interfaces as small PNG files, with a palette.
import { crc32, deflateSync } from "node:zlib";

const maxColours = 256;

/**
 * Encodes a picture as a PNG with at most 256 colours. Colours are rounded as far as
 * that needs, which is not seen in text and charts.
 * @param {Uint8Array} rgba four bytes a pixel, row by row; alpha is ignored
 */
export function encode(rgba, width, height) {
  const { colours, indexes } = reduce(rgba);
  const rows = Buffer.alloc((width + 1) * height); // each row begins with its filter, 0: none
  for (let y = 0; y < height; y++) rows.set(indexes.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8); // 8 bits a pixel, a palette
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("PLTE", Buffer.from(colours.flatMap((c) => [c >> 16, (c >> 8) & 255, c & 255]))),
    chunk("IDAT", deflateSync(rows, { level: 9, memLevel: 9 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** Maps pixels to a palette. All colours that are rounded to one get the most frequent of them. */
function reduce(rgba) {
  const pixels = rgba.length / 4;
  const counts = new Map();
  const colourAt = (i) => (rgba[4 * i] << 16) | (rgba[4 * i + 1] << 8) | rgba[4 * i + 2];
  for (let i = 0; i < pixels; i++) counts.set(colourAt(i), (counts.get(colourAt(i)) ?? 0) + 1);
  const frequentFirst = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
  for (let bits = 0; ; bits++) {
    const mask = (0xff << bits) & 0xff;
    const rounded = (c) => c & ((mask << 16) | (mask << 8) | mask);
    const palette = new Map(); // rounded colour to index
    const colours = [];
    for (const colour of frequentFirst) {
      if (!palette.has(rounded(colour))) palette.set(rounded(colour), colours.push(colour) - 1);
    }
    if (colours.length > maxColours) continue;
    const indexes = new Uint8Array(pixels);
    for (let i = 0; i < pixels; i++) indexes[i] = palette.get(rounded(colourAt(i)));
    return { colours, indexes };
  }
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const out = Buffer.alloc(body.length + 8);
  out.writeUInt32BE(data.length, 0);
  body.copy(out, 4);
  out.writeUInt32BE(crc32(body), body.length + 4);
  return out;
}
