/** From the whole picture to its parts. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { type ExploredNode, Mglmm } from '../../lib';
import { onEveryDevice } from '../support/devices';
import { mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { tinyModel } from '../support/tiny_model';

const all = (node: ExploredNode): ExploredNode[] => [node, ...node.children.flatMap(all)];

for (const golden of mglmmGoldens()) {
  onEveryDevice(`exploring with ${golden.name}`, (device) => {
    const options = { maxNewTokens: 16, forceSegmentation: true, prompts: { scene: 'Where?', part: (phrase: string) => `Of ${phrase}?` } };

    test('finds the whole first, then each thing before its parts', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      const told: ExploredNode[] = [];
      const tree = await model.explore(picture(37, 51), { ...options, depth: 3, maxPhrases: 2, onNode: (node) => told.push(node) });
      assert.deepEqual([tree.phrase, tree.box, tree.path, tree.mask.area], ['', [0, 0, 37, 51], [], 37 * 51]);
      assert.deepEqual(new Set(told), new Set(all(tree)));
      for (const node of told) {
        const parent = node.path.slice(0, -1).reduce((at, i) => at.children[i]!, tree);
        if (node !== tree) assert.equal(parent.children[node.path.at(-1)!], node);
        assert.ok(told.indexOf(parent) <= told.indexOf(node));
        assert.ok(node.path.length <= 3);
        const names = node.path.map((_, i) => node.path.slice(0, i + 1).reduce((at, index) => at.children[index]!, tree).phrase);
        assert.equal(new Set(names).size, names.length, 'nothing is a part of itself');
      }
      assert.ok(tree.children.length > 0);
      assert.ok(tree.text.length > 0);
    });

    test('is the same as a stream, and answers as the questions alone would', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      await using other = await Mglmm.load(folder.path, { device, cacheBytes: 0 });
      const image = picture(37, 51);
      const nodes: ExploredNode[] = [];
      const stream = model.exploreStream(image, options);
      for await (const node of stream) nodes.push(node);
      const tree = await other.explore(image, options);
      assert.deepEqual(nodes[0], tree);
      const { maxNewTokens, forceSegmentation } = options;
      const scene = await model.answer({ image, prompt: 'Where?', maxNewTokens, forceSegmentation });
      assert.equal(tree.text, scene.text);
      for (const node of tree.children.filter(({ text }) => text !== '')) {
        const part = await model.answer({ image, prompt: `Of ${node.phrase}?`, maxNewTokens, forceSegmentation });
        assert.equal(node.text, part.text);
      }
    });

    test('goes no deeper than is asked, and refuses what it does not know', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      const image = picture(20, 20);
      const tree = await model.explore(image, { ...options, depth: 1 });
      assert.ok(tree.children.every(({ children, text }) => children.length === 0 && text === ''));
      await assert.rejects(model.explore(image, { depth: 0 }), {
        name: 'ArgumentError',
        message: 'explore: depth is 0, expected a whole number from 1',
      });
      await assert.rejects(model.explore(image, { dept: 1 } as never), {
        name: 'ArgumentError',
        message: 'explore: dept is no option; did you mean depth?',
      });
      await assert.rejects(model.explore(image, { prompts: { scene: 3 as never } }), {
        message: 'explore: prompts is a Object, expected an object with scene, a string, and part, a function of a phrase',
      });
    });
  });
}
