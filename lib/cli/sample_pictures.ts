/** A folder of samples that are drawn: a picture each with its masks and their phrases, and a page that shows them beside what is said. */
import { type FileHandle, mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { phrasesOf, type Sample } from '../data/sample';
import type { RgbImage } from '../image/decode';
import { drawOverlay } from '../image/overlay';
import { expectWritable } from '../weights/new_folder';

const head = `<!doctype html><meta charset="utf-8"><title>Samples</title>
<style>body { font: 16px sans-serif } article { display: flex; gap: 2em; margin: 2em } img { max-width: 50vw; max-height: 70vh } dt { color: #666 }</style>
`;

export class SamplePictures implements AsyncDisposable {
  readonly #folder: string;
  readonly #page: FileHandle;

  private constructor(folder: string, page: FileHandle) {
    this.#folder = folder;
    this.#page = page;
  }

  /** Makes the folder where there is none. @throws ArgumentError where it cannot be written. */
  static async in(folder: string): Promise<SamplePictures> {
    await expectWritable(folder);
    await mkdir(folder, { recursive: true });
    const page = await open(join(folder, 'index.html'), 'w');
    await page.appendFile(head);
    return new SamplePictures(folder, page);
  }

  /** Writes `<name>.png` and shows it on the page. */
  async add(name: string, sample: Sample, image: RgbImage): Promise<void> {
    const phrases = phrasesOf(sample);
    const masks = sample.masks.map((rle, i) => ({ rle, label: phrases[i] }));
    await writeFile(join(this.#folder, `${name}.png`), await drawOverlay(image, masks));
    const turns = sample.conversation.map(({ question, answer }) => `<dt>${escaped(question)}<dd>${escaped(answer)}`);
    await this.#page.appendFile(
      `<article><img src="${encodeURIComponent(name)}.png"><div><h3>${escaped(sample.id)}: ${escaped(sample.task)}</h3><dl>${turns.join('')}</dl></div></article>\n`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#page.close();
  }
}

const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
