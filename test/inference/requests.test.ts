/** Requests that are refused, given up, or come too late; and that nothing is left behind. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { type AnswerRequest, Mglmm, memory, synchronize } from '../../lib';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';
import { mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { tinyModel } from '../support/tiny_model';

const image = picture(37, 51);
const request = { image, prompt: 'Where is it?', maxNewTokens: 40, forceSegmentation: true };

const refused: [message: string, request: unknown, name?: string][] = [
  ['it was given undefined, expected an object with image, prompt', undefined],
  ['image is missing, expected a path, the bytes of a file, pixels, or what encodeImage gives', { prompt: 'x' }],
  ['image is 5, expected a path, the bytes of a file, pixels, or what encodeImage gives', { image: 5, prompt: 'x' }],
  ['image is a Object, expected a path', { image: {}, prompt: 'x' }],
  ['prompt is undefined, expected a string', { image }],
  ['prompt is 3, expected a string', { image, prompt: 3 }],
  ['prompt is empty, expected what is asked about the image', { image, prompt: ' \n' }],
  ['maxNewToken is no option; did you mean maxNewTokens?', { ...request, maxNewToken: 3 }],
  ['maxNewTokens is 0, expected a whole number from 1', { ...request, maxNewTokens: 0 }],
  ['temperature is NaN, expected 0, or a number from 1e-5 to 1e5', { ...request, temperature: Number.NaN }],
  ['temperature is 1e-300, expected 0, or', { ...request, temperature: 1e-300 }],
  ['temperature is 1e+300, expected 0, or', { ...request, temperature: 1e300 }],
  ['topK is 1.5, expected a whole number from 0', { ...request, topK: 1.5 }],
  ['topP is 2, expected a number above 0, at most 1', { ...request, topP: 2 }],
  ['repetitionPenalty is 0, expected a number above 0', { ...request, repetitionPenalty: 0 }],
  ['seed is -1, expected a whole number from 0', { ...request, seed: -1 }],
  ['stop is ["a", ""], expected a string, or strings, none of them empty', { ...request, stop: ['a', ''] }],
  ['constrained is "yes", expected true or false', { ...request, constrained: 'yes' }],
  ['system is 3, expected a string', { ...request, system: 3 }],
  ['signal is a Object, expected an AbortSignal', { ...request, signal: {} }],
];

for (const golden of mglmmGoldens()) {
  onEveryDevice(`requests to ${golden.name}`, (device) => {
    test('that are none are refused before any work', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      for (const [message, wrong] of refused) {
        await assert.rejects(
          model.answer(wrong as AnswerRequest),
          (error: Error) => error.name === 'ArgumentError' && error.message.startsWith(`answer: ${message}`),
          message,
        );
      }
      await assert.rejects(model.answer({ ...request, prompt: 'x '.repeat(3000) }), {
        name: 'LengthError',
        message: /^answer: the prompt has \d+ tokens, \d+ of them the image's, expected fewer than \d+, the context of the model$/,
      });
      await assert.rejects(model.answer({ ...request, image: '/nowhere.png' }), { name: 'ImageError' });
      await assert.rejects(model.encodeImage(image, null as never), {
        name: 'ArgumentError',
        message: 'encodeImage: it was given null, expected an object with adapter, signal',
      });
      await assert.rejects(model.answerAll([{ image, prompt: 'x', maxNewTokens: 3 } as never]), {
        message: 'answerAll: question 0: maxNewTokens is no option, expected image, prompt, seed, adapter',
      });
      await assert.rejects(model.answerAll(undefined as never), { message: 'answerAll: questions are undefined, expected a list' });
    });

    test('are given up within a token when their signal fires', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      const reason = new Error('enough');
      await assert.rejects(model.answer({ ...request, signal: AbortSignal.abort(reason) }), { name: 'AbortedError', cause: reason });
      for (const after of [0, 1, 5]) {
        const controller = new AbortController();
        let tokens = 0;
        await assert.rejects(
          async () => {
            for await (const event of model.stream({ ...request, temperature: 1, seed: 3, signal: controller.signal })) {
              if (event.type === 'token' && ++tokens > after) controller.abort(reason);
            }
          },
          { name: 'AbortedError', cause: reason },
        );
        assert.ok(tokens <= after + 2, `${tokens} tokens came, ${after + 1} were wanted`);
      }
      const controller = new AbortController();
      const answers = Promise.allSettled(
        Array.from({ length: 6 }, (_, i) => model.answer({ ...request, image: picture(20, 20, i % 2), signal: controller.signal })),
      );
      setTimeout(() => controller.abort(), 3);
      for (const one of await answers) {
        if (one.status === 'rejected') assert.equal((one.reason as Error).name, 'AbortedError');
      }
      await model.answer(request);
    });

    test('that are left leave nothing', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device, cacheBytes: 0 });
      await model.answer(request);
      await collectGarbage();
      const before = memory(device).liveBytes;
      for (let i = 0; i < 20; i++) {
        let count = 0;
        for await (const _ of model.stream({ ...request, image: picture(20, 20, i) })) if (count++ === i % 7) break;
        for await (const _ of model.exploreStream(picture(20, 20, i), request.maxNewTokens ? { maxNewTokens: 9 } : {})) break;
        const controller = new AbortController();
        const asked = model.answer({ ...request, image: picture(20, 20, i), signal: controller.signal });
        if (i % 2 === 0) await new Promise((resolve) => setTimeout(resolve, i / 4));
        controller.abort();
        await asked.catch(() => undefined);
      }
      await synchronize();
      assert.equal(memory(device).liveBytes, before);
    });

    test('end before the model does, and come no more afterwards', async () => {
      using folder = tinyModel(golden);
      const model = await Mglmm.load(folder.path, { device });
      const encoded = await model.encodeImage(image);
      const chat = model.chat({ image });
      await chat.ask('One?', { maxNewTokens: 2 });
      const running = model.answer(request);
      const ending = Promise.all([model.dispose(), model.dispose()]);
      const gone = { name: 'DisposedError', message: 'the model was disposed' };
      await assert.rejects(model.answer(request), gone);
      await ending;
      assert.ok((await running).segments.length > 0);
      await assert.rejects(model.answer({ ...request, image: encoded }), gone);
      await assert.rejects(chat.ask('Two?'), gone);
      await assert.rejects(model.explore(image), gone);
      await assert.rejects(model.segmentAnything({ image, points: [[1, 1]] }), gone);
      await assert.rejects(model.encodeImage(image), gone);
      await assert.rejects(model.answerAll([{ image, prompt: 'x' }]), gone);
      assert.throws(() => model.chat({ image }), gone);
      await assert.rejects(model.unloadAdapter('a'), gone);
      await chat.dispose();
      encoded.dispose();
    });

    test('that stand still are given up by the end of what they use', async () => {
      using folder = tinyModel(golden);
      const model = await Mglmm.load(folder.path, { device });
      const chat = model.chat({ image });
      const talk = chat.stream('One?');
      await talk.next();
      await chat.dispose();
      await assert.rejects(talk.next(), { name: 'DisposedError', message: 'the chat was disposed' });
      const other = model.chat({ image }).stream('One?');
      const [stream, explored, read] = [model.stream(request), model.exploreStream(image), model.stream(request)];
      for (const one of [stream, explored, other, read]) await one.next();
      const whole = read.final(); // somebody waits for it
      await model.dispose();
      assert.ok((await whole).segments.length > 0);
      const gone = { name: 'DisposedError', message: 'the model was disposed' };
      for (const one of [stream, explored, other]) await assert.rejects(one.next(), gone);
      await stream.return();
    });

    test('leave nothing when their model is disposed of, though they were given up', async () => {
      using folder = tinyModel(golden);
      await collectGarbage();
      const before = memory(device).liveBytes;
      for (let i = 0; i < 8; i++) {
        const model = await Mglmm.load(folder.path, { device });
        const controller = new AbortController();
        const asked = model.answer({ ...request, image: picture(20, 20, i), signal: controller.signal });
        await new Promise((resolve) => setTimeout(resolve, i / 2));
        controller.abort();
        await asked.catch(() => undefined);
        await model.dispose();
        assert.equal(memory(device).liveBytes, before);
      }
    });

    test('100 models come and go without a trace', async () => {
      using folder = tinyModel(golden);
      const round = async () => {
        await using model = await Mglmm.load(folder.path, { device });
        const encoded = await model.encodeImage(image);
        await model.answer({ ...request, image: encoded, maxNewTokens: 4 });
        await model.chat({ image, maxNewTokens: 2 }).ask('One?');
      };
      for (let i = 0; i < 10; i++) await round();
      await collectGarbage();
      const [{ liveBytes, mappedBytes }, rss] = [memory(device), process.memoryUsage().rss];
      for (let i = 0; i < 100; i++) await round();
      await collectGarbage();
      assert.equal(memory(device).liveBytes, liveBytes);
      assert.equal(memory(device).mappedBytes, mappedBytes);
      assert.ok(process.memoryUsage().rss - rss < 64 * 2 ** 20, `${(process.memoryUsage().rss - rss) >> 20} MiB more than before`);
    });
  });
}
