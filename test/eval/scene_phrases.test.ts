/** Phrases about scenes name the same when noun and colour agree. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { sceneSimilarity } from '../../lib/eval/scene_phrases';

test('phrases of scenes are alike by their words where they name the same', () => {
  for (const [truth, phrase, wanted] of [
    ['a striped red cat', 'a red cat', 2 / 3],
    ['a red cat', 'a cat', 1 / 2],
    ['two striped red cars', 'three striped red cars', 3 / 5],
    ['a person in red', 'a person in striped red', 2 / 3],
    ['the blue sky', 'the sky', 1 / 2],
    ['a striped red cat', 'a striped red dog', 0],
    ['a striped red cat', 'a striped blue cat', 0],
    ['a person in dotted red', 'a person in dotted blue', 0],
    ['two red cars', 'two red dogs', 0],
    ['a red cat', '', 0],
    ['a red cat', 'a red cat.', 1],
    ['a cat', '"A cat!"', 1],
    ['a person in red', 'a person, in red.', 1],
    ['a person in red', 'a person\nin red', 1],
    ['a red cat', 'a red dog.', 0],
    ['a red cat', '...', 0],
    ['dog-2', 'cat-2.', 0],
  ] as const)
    assert.ok(Math.abs(sceneSimilarity(truth, phrase) - wanted) < 1e-12, `${truth}, ${phrase}: ${sceneSimilarity(truth, phrase)}`);
});
