/** Conversations about one picture: follow-up questions are read behind what was read before. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { Mglmm, matmul, ones } from '../../lib';
import { KeyValueCache } from '../../lib/models/llama/key_value_cache';
import { onEveryDevice } from '../support/devices';
import { mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { tinyModel } from '../support/tiny_model';

for (const golden of mglmmGoldens()) {
  onEveryDevice(`chats with ${golden.name}`, (device) => {
    test('read the picture and what was said once, and give the masks of the new answer alone', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device, cacheBytes: 0 });
      await using chat = model.chat({ image: picture(37, 51), maxNewTokens: 12, forceSegmentation: true });
      const first = await chat.ask('Where is it?');
      const second = await chat.ask('And the other one?', { maxNewTokens: 9 });
      assert.deepEqual(
        chat.turns.map(({ prompt, answer }) => [prompt, answer]),
        [
          ['Where is it?', first],
          ['And the other one?', second],
        ],
      );
      assert.equal(second.segments.length, second.ids.filter((id) => id === golden.segId).length);
      // All that was read before, but for the last token, which ends an answer.
      assert.equal(second.usage.cachedTokens, first.usage.promptTokens + first.ids.length - 1);
      assert.deepEqual(second.timings.cached, { features: undefined, prefix: true, embedding: true });
    });

    test('answer as a new conversation would that had all of it before it', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      const options = { image: picture(40, 40), maxNewTokens: 8 };
      const ask = async () => {
        await using chat = model.chat(options);
        const answers = [await chat.ask('One?'), await chat.ask('Two?'), await chat.ask('Three?')];
        return answers.map(({ ids, text, segments }) => ({ ids, text, segments }));
      };
      assert.deepEqual(await ask(), await ask());
    });

    test('take up where they were when an answer was given up', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      const ask = async (isDisturbed: boolean) => {
        await using chat = model.chat({ image: picture(40, 40), maxNewTokens: 10 });
        await chat.ask('One?');
        if (isDisturbed) {
          for await (const event of chat.stream('What then?')) if (event.type === 'token') break;
          const aborted = new AbortController();
          await assert.rejects(
            async () => {
              for await (const _ of chat.stream('And then?', { signal: aborted.signal })) aborted.abort(new Error('enough'));
            },
            { name: 'AbortedError' },
          );
          assert.equal(chat.turns.length, 1);
        }
        const { ids, segments, usage } = await chat.ask('Two?');
        return { ids, segments, promptTokens: usage.promptTokens };
      };
      assert.deepEqual(await ask(true), await ask(false));
    });

    test('go on behind an answer whose loop was left at its end', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      const ask = async (isLeft: boolean) => {
        await using chat = model.chat({ image: picture(40, 40), maxNewTokens: 10, forceSegmentation: true });
        for await (const event of chat.stream('One?')) if (isLeft && event.type === 'done') break;
        const { ids, usage } = await chat.ask('Two?');
        return { ids, usage, prompts: chat.turns.map(({ prompt }) => prompt) };
      };
      assert.deepEqual(await ask(true), await ask(false));
    });

    test('take what is undefined in the options of a question as not given', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      const options = { temperature: 5, seed: 3, maxNewTokens: 7 };
      await using chat = model.chat({ image: picture(40, 40), ...options });
      const { ids } = await chat.ask('One?', { temperature: undefined, seed: undefined, maxNewTokens: undefined });
      const questions = [{ image: picture(40, 40), prompt: 'One?', seed: undefined }];
      const [answer] = await model.answerAll(questions, options);
      const expected = await model.answer({ image: picture(40, 40), prompt: 'One?', ...options });
      assert.deepEqual([ids, answer?.ids], [expected.ids, expected.ids]);
    });

    test('go on behind an answer with ids that the tokenizer does not have', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      await using chat = model.chat({ image: picture(40, 40), maxNewTokens: 4 });
      const first = await chat.ask('One?');
      (first.ids as number[]).splice(1, 1, 5000); // as a vocabulary that is padded to a round number has them
      const { usage } = await chat.ask('Two?');
      assert.ok(usage.promptTokens > first.usage.promptTokens);
    });

    test('read the picture anew when they were given up before it was read', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      using image = await model.encodeImage(picture(40, 40)); // what it waits for on the device is there
      const asked = { image, maxNewTokens: 10, system: 'You are new here.' };
      await using chat = model.chat(asked);
      using work = ones([1024, 1024]);
      const before = [matmul(work, work), matmul(work, work)];
      const aborted = new AbortController();
      const { copying } = KeyValueCache.prototype;
      KeyValueCache.prototype.copying = function* (...args) {
        const copied = yield* copying.apply(this, args);
        aborted.abort();
        return copied;
      };
      try {
        await assert.rejects(chat.ask('One?', { signal: aborted.signal }), { name: 'AbortedError' });
      } finally {
        KeyValueCache.prototype.copying = copying;
        for (const one of before) one.dispose();
      }
      const { ids } = await chat.ask('One?');
      assert.deepEqual(ids, (await model.answer({ ...asked, prompt: 'One?' })).ids);
    });

    test('refuse two questions at once, questions after their end, and what does not fit into the context', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      const chat = model.chat({ image: picture(30, 20), maxNewTokens: 4 });
      const asked = chat.ask('One?');
      await assert.rejects(chat.ask('Two?'), {
        name: 'ArgumentError',
        message: 'chat: another answer is being made; await it, or leave its loop, before the next question',
      });
      await asked;
      await assert.rejects(chat.ask('x '.repeat(3000)), { name: 'LengthError' });
      await chat.dispose();
      await assert.rejects(chat.ask('Two?'), { name: 'DisposedError', message: 'the chat was disposed' });
    });
  });
}
