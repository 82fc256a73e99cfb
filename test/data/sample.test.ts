/** What must hold of a sample, and the words for what does not. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { faultsOf, type Sample } from '../../lib/data/sample';
import { SampleError } from '../../lib/errors';
import { rleFromRuns } from '../../lib/image/rle';
import { buildSegCap, type Span } from '../../lib/text/segcap';

const mask = rleFromRuns([1, 2, 3], [2, 3]);
const good: Sample = {
  id: 'a',
  image: 'a.png',
  conversation: [{ question: 'What is there?', answer: 'A <p> cat </p> [SEG] and <p> a dog </p> [SEG].' }],
  masks: [mask, mask],
  task: 'caption',
};
const reasons = (change: Partial<Sample>) =>
  faultsOf({ ...good, ...change }).map(({ problem, field, reason }) => `${problem}: ${field} ${reason}`);
const answering = (answer: string, masks: Sample['masks'] = []) => reasons({ conversation: [{ question: 'What?', answer }], masks });

describe('faultsOf', () => {
  test('finds nothing in good samples: several turns, captions, answers that are a mask alone', () => {
    assert.deepEqual(reasons({}), []);
    assert.deepEqual(
      reasons({
        conversation: [...good.conversation, { question: 'And?', answer: 'It is <p> red </p> [SEG].' }],
        masks: [mask, mask, mask],
      }),
      [],
    );
    assert.deepEqual(answering('Two animals.'), []);
    assert.deepEqual(reasons({ image: undefined, conversation: [{ question: 'Hi', answer: 'Hello.' }], masks: [] }), []);
    assert.deepEqual(answering('Sure, [SEG].', [mask]), []);
  });

  test('counts [SEG] against masks', () => {
    assert.deepEqual(reasons({ masks: [mask] }), ['seg_count: masks has 1, expected as many as there are [SEG] in the answers, 2']);
    assert.deepEqual(answering('Nothing.', [mask]), ['seg_count: masks has 1, expected as many as there are [SEG] in the answers, 0']);
  });

  test('wants tags in pairs, each with one [SEG]', () => {
    for (const [answer, segs, reason] of [
      ['A <p> cat [SEG].', 1, '[SEG] comes before the </p> of "cat", which ends here, at 2 of its plain text'],
      ['A cat </p>.', 0, '</p> stands where no phrase is open and is left out, at 5 of its plain text'],
      ['A <p> cat </p>.', 0, 'no [SEG] follows "cat", which is text, at 2 of its plain text'],
      ['<p> a </p> [SEG] [SEG]', 2, 'another [SEG] follows "a"; it is one more mask of it, at 1 of its plain text'],
    ] as const)
      assert.deepEqual(answering(answer, Array(segs).fill(mask)), [`tags: conversation[0].answer ${reason}`]);
  });

  test('refuses names that mean something in a prompt', () => {
    const what = 'in it, which means something in a prompt';
    assert.deepEqual(reasons({ conversation: [{ question: 'Mask [SEG]', answer: 'No.' }], masks: [] }), [
      `tags: conversation[0].question has [SEG] ${what}`,
    ]);
    for (const name of ['</s>', '<image>', 'ASSISTANT:', '[/INST]', '<im_start>'])
      assert.deepEqual(answering(`Yes ${name} no`), [`tags: conversation[0].answer has ${name} ${what}`]);
  });

  test('wants masks of one size, and a picture for them', () => {
    assert.deepEqual(reasons({ masks: [mask, rleFromRuns([6], [3, 2])] }), [
      'mask_size: masks[1] is [3, 2], expected [2, 3], the size of the first',
    ]);
    assert.deepEqual(reasons({ image: undefined }), ['no_image: image is missing, but there are masks']);
  });

  test('finds nothing in what buildSegCap makes', () => {
    const words = fc.array(fc.stringMatching(/^[a-z,.é]{1,6}$/), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(words, fc.infiniteStream(fc.boolean()), (parts, marked) => {
        const spans: Span[] = [];
        let text = '';
        for (const word of parts) {
          if (text) text += ' ';
          if (marked.next().value) spans.push([text.length, text.length + word.length]);
          text += word;
        }
        assert.deepEqual(answering(buildSegCap(text, spans), Array(spans.length).fill(mask)), []);
      }),
    );
  });
});

test('SampleError says file, line, field and why', () => {
  const error = new SampleError('train.jsonl', 7, [{ problem: 'rle', field: 'masks[2]', reason: 'is cut' }]);
  assert.equal(error.message, 'train.jsonl:7: masks[2]: is cut');
  assert.deepEqual(
    [error.name, error.code, error.file, error.line, error.problem, error.field],
    ['SampleError', 'MGLMM_SAMPLE', 'train.jsonl', 7, 'rle', 'masks[2]'],
  );
  assert.equal(new SampleError('x', 1, [{ problem: 'json', field: '', reason: 'is no JSON' }]).message, 'x:1: is no JSON');
});
