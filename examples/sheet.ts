/** A picture and what was answered about it, side by side. */
import sharp from 'sharp';
import type { RgbImage } from '../lib';

export interface Panel {
  readonly title: string;
  readonly prompt: string;
  readonly text: string;
  /** A PNG of the picture with masks. */
  readonly picture: Uint8Array;
}

const side = 420; // pixels, of a picture on the sheet
const gap = 24;
const lineHeight = 20;
const lineCharacters = 54;
const mostLines = 9;

const escaped = (text: string) => text.replace(/[&<>]/g, (found) => `&#${found.charCodeAt(0)};`);

/** Words in lines that fit under a picture; what does not is cut. */
function linesOf(text: string): string[] {
  const lines = [''];
  for (const word of text.split(/\s+/)) {
    const line = lines.at(-1) as string;
    if (line !== '' && line.length + word.length >= lineCharacters) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.length > mostLines ? [...lines.slice(0, mostLines - 1), `${lines[mostLines - 1]} ...`] : lines;
}

/** The PNG of a sheet: the picture, then each panel with its question and answer below. */
export async function drawSheet({ data, width, height }: RgbImage, panels: readonly Panel[]): Promise<Uint8Array> {
  const fitted = (image: sharp.Sharp) => image.resize(side, side, { fit: 'contain', background: '#fff' }).png().toBuffer();
  const pictures = [sharp(data, { raw: { width, height, channels: 3 } }), ...panels.map(({ picture }) => sharp(picture))];
  const captions = [['The picture'], ...panels.map(({ title, prompt, text }) => [title, ...linesOf(prompt), '', ...linesOf(text)])];
  const left = (column: number) => gap + column * (side + gap);
  const text = captions.flatMap((lines, column) =>
    lines.map((line, i) => {
      const look = i === 0 ? 'font-weight="bold" fill="#111"' : `fill="${i <= lines.lastIndexOf('') ? '#666' : '#111'}"`;
      return `<text x="${left(column)}" y="${gap + side + (i + 1.4) * lineHeight}" font-size="14" font-family="sans-serif" ${look}>${escaped(line)}</text>`;
    }),
  );
  const [sheetWidth, sheetHeight] = [
    left(pictures.length),
    2 * gap + side + Math.max(...captions.map(({ length }) => length + 1)) * lineHeight,
  ];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${sheetWidth}" height="${sheetHeight}">${text.join('')}</svg>`;
  const drawn = await Promise.all(pictures.map(fitted));
  return sharp({ create: { width: sheetWidth, height: sheetHeight, channels: 3, background: '#fff' } })
    .composite([...drawn.map((input, column) => ({ input, left: left(column), top: gap })), { input: Buffer.from(svg), left: 0, top: 0 }])
    .png()
    .toBuffer();
}
