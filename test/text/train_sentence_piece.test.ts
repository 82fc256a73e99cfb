import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { ArgumentError, loadTokenizer, trainSentencePiece, writeTokenizer } from '../../lib';
import { SentencePiece } from '../../lib/text/sentence_piece';
import { temporaryFolder } from '../support/weights';

const texts = Array.from({ length: 20 }, (_, i) => [
  `There is <p> a red house </p> [SEG] and <p> ${i} green trees </p> [SEG].`,
  "What do you see? Show me the house, the tree's leaves and the boat.",
]).flat();

describe('trainSentencePiece', () => {
  test('makes whole words of what comes often, and keeps punctuation apart', async () => {
    using folder = temporaryFolder();
    const count = await writeTokenizer(folder.path, texts, 480);
    const tokenizer = await loadTokenizer(folder.path);
    assert.equal(count, tokenizer.size);
    const pieces = tokenizer.encode('There is <p> a red house </p> [SEG].', { special: true }).map((id) => tokenizer.pieceOf(id).text);
    assert.deepEqual(pieces, [' There', ' is', '<p>', ' a', ' red', ' house', '</p>', '[SEG]', ' .']);
    assert.deepEqual(
      tokenizer.encode('the boat, house').map((id) => tokenizer.pieceOf(id).text),
      [' the', ' boat', ',', ' house'],
    );
  });

  test('writes any text back as it was, by letters and bytes where there are no words', async () => {
    using folder = temporaryFolder();
    await writeTokenizer(folder.path, texts, 480);
    const tokenizer = await loadTokenizer(folder.path);
    for (const text of ['a red house', 'boats,  houses\nand trees', 'Zürich 🌳 ▁ <p>', "tree's"])
      assert.equal(tokenizer.decode(tokenizer.encode(text)), text.replace('▁', ' '));
  });

  test('gives the same for the same texts, in any order, and is read as a byte-pair model with bytes', () => {
    const model = trainSentencePiece(texts, 340);
    assert.ok(model.equals(trainSentencePiece([...texts].reverse(), 340)));
    const vocabulary = new SentencePiece(model);
    assert.equal(vocabulary.size, 340);
    assert.deepEqual([vocabulary.bos, vocabulary.eos, vocabulary.unk], ['<s>', '</s>', '<unk>']);
    assert.equal(vocabulary.pieceOf(3)?.kind, 'byte');
  });

  test('stops where nothing is met twice, and refuses a size that has no room for the characters', () => {
    assert.equal(new SentencePiece(trainSentencePiece(['ab cd'], 1000)).size, 3 + 256 + 5);
    assert.throws(
      () => trainSentencePiece(['ab cd'], 200),
      new ArgumentError('trainSentencePiece: size is 200, expected at least 264, the characters there are'),
    );
  });
});
