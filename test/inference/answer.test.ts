/** Questions about pictures, from the folder of a checkpoint to text and masks. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { type AnswerEvent, Mglmm } from '../../lib';
import { onEveryDevice } from '../support/devices';
import { mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { tinyModel } from '../support/tiny_model';

for (const golden of mglmmGoldens()) {
  onEveryDevice(`answers of ${golden.name}`, () => {
    test('have a text, and a mask in the size of the picture for each [SEG]', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path);
      const answer = await model.answer({ image: picture(37, 51), prompt: 'Where is it?', maxNewTokens: 40, forceSegmentation: true });
      assert.ok(answer.segments.length > 0);
      for (const { phrase, span, mask, box, score } of answer.segments) {
        assert.equal(answer.text.slice(...span), phrase);
        assert.deepEqual(mask.rle.size, [51, 37]);
        assert.deepEqual(box, mask.box);
        assert.ok(score >= 0 && score <= 1);
      }
      assert.equal(answer.usage.newTokens, answer.ids.length);
    });

    test('are the same streamed', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path);
      const request = { image: picture(37, 51), prompt: 'Where is it?', maxNewTokens: 40, forceSegmentation: true };
      const whole = await model.answer(request);
      const events: AnswerEvent[] = [];
      for await (const event of model.stream(request)) events.push(event);
      const last = events.at(-1);
      assert.equal(last?.type, 'done');
      const answer = last?.type === 'done' ? last.answer : undefined;
      assert.deepEqual({ ...answer, timings: 0, usage: 0 }, { ...whole, timings: 0, usage: 0 });
      assert.equal(events.map((event) => (event.type === 'token' ? event.text : '')).join(''), whole.text);
      assert.deepEqual(
        events.flatMap((event) => (event.type === 'token' ? [event.id] : [])),
        whole.ids,
      );
      assert.deepEqual(
        events.flatMap((event) => (event.type === 'mask' ? [event.segment] : [])),
        whole.segments,
      );
    });
  });
}
