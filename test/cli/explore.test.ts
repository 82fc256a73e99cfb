import { strict as assert } from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, test } from '@jest/globals';
import { type ExploredNode, Mglmm } from '../../lib';
import { mglmm } from '../support/command';
import { type MglmmGolden, mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { encodePng } from '../support/png';
import { tinyModel } from '../support/tiny_model';
import { temporaryFolder } from '../support/weights';

interface Node {
  phrase: string;
  text: string;
  children: Node[];
}

const [golden] = mglmmGoldens() as [MglmmGolden];
const model = tinyModel(golden);
const folder = temporaryFolder();
const { data, width, height } = picture(44, 60);
const image = folder.file('scene.png', encodePng({ width, height, pixels: data }));
afterAll(() => {
  model[Symbol.dispose]();
  folder[Symbol.dispose]();
});

/** A seed whose answers have phrases to look into. */
const options = { depth: 2, maxNewTokens: 60, temperature: 1, seed: 5, forceSegmentation: true };
const args = ['--depth', '2', '--max-new-tokens', '60', '--temperature', '1', '--seed', '5', '--force-segmentation'];
const explore = (...more: string[]) => mglmm(['explore', image, '--model', model.path, ...args, ...more]);
const plain = ({ phrase, text, children }: Node | ExploredNode): Node => ({ phrase, text, children: children.map(plain) });

describe('mglmm explore', () => {
  test('prints the tree, and writes it with a picture of each level', async () => {
    await using library = await Mglmm.load(model.path);
    const expected = plain(await library.explore(image, options));
    const out = folder.file('out');
    const { code, out: text, err } = await explore('--out', out);
    assert.equal(code, 0, err);
    const written = JSON.parse(readFileSync(join(out, 'explore.json'), 'utf8')) as Node & { width: number };
    assert.equal(JSON.stringify(plain(written)), JSON.stringify(expected));
    assert.equal(written.width, width);
    const levels: Node[][] = [];
    for (let level = written.children; level.length > 0; level = level.flatMap(({ children }) => children)) levels.push(level);
    assert.ok(levels.length > 0, 'the seed finds nothing: take another');
    assert.deepEqual(
      [1, 2, 3, 4].map((level) => existsSync(join(out, `level_${level}.png`))),
      [1, 2, 3, 4].map((level) => level <= levels.length),
    );
    assert.equal(text.match(/[├└]─ /g)?.length, levels.flat().length, text);
    assert.match(err, new RegExp(`^${levels.flat().length} things? on ${levels.length} levels?; written to ${out}$`, 'm'));
  });

  test('gives a line of JSON, and refuses what makes no sense', async () => {
    const { out } = await explore('--json', '--depth', '1');
    assert.equal(out.split('\n').length, 2);
    assert.ok((JSON.parse(out) as Node).children.every(({ children }) => children.length === 0));
    const { code, err } = await explore('--depth', '0');
    assert.deepEqual([code, err], [2, "error: option '--depth <levels>' argument '0' is invalid. expected a whole number from 1\n"]);
  });
});
