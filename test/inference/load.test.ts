/** Opening models: forms of the weights in memory, progress, and what is refused. */
import { strict as assert } from 'node:assert';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { devices, type LoadOptions, Mglmm, type ModelProgress, memory, synchronize, tensor } from '../../lib';
import { loadEngine } from '../../lib/inference/load_engine';
import { ProgressTeller } from '../../lib/inference/progress_teller';
import { openModelFolder } from '../../lib/weights/model_folder';
import { storedToWrite } from '../../lib/weights/stored_pieces';
import { writeCheckpoint } from '../../lib/weights/write_checkpoint';
import { mglmm } from '../support/command';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';
import { mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { tinyModel } from '../support/tiny_model';
import { temporaryFolder } from '../support/weights';

const request = { image: picture(37, 51), prompt: 'Where is it?', maxNewTokens: 12, forceSegmentation: true };

for (const golden of mglmmGoldens()) {
  onEveryDevice(`loading ${golden.name}`, (device) => {
    for (const dtype of ['f32', 'bf16', 'f16', 'int8', 'int4'] as const) {
      test(`in ${dtype}`, async () => {
        using folder = tinyModel(golden);
        await using model = await Mglmm.load(folder.path, { device, dtype });
        const { segments, ids } = await model.answer(request);
        assert.ok(segments.length > 0 && ids.length > 0);
      });
    }

    test('a folder that mglmm convert has written answers as the one it was made from', async () => {
      using folder = tinyModel(golden, 'checkpoints/glamm');
      using into = temporaryFolder();
      const path = join(into.path, 'converted');
      const { code, err } = await mglmm(['convert', folder.path, path]);
      assert.equal(code, 0, err);
      await using model = await Mglmm.load(folder.path, { device });
      await using converted = await Mglmm.load(path);
      const [first, second] = [await model.answer(request), await converted.answer(request)];
      assert.deepEqual([second.ids, second.segments], [first.ids, first.segments]);
    });

    test('a LLaVA, which makes no masks and may see pictures as squares', async () => {
      using source = tinyModel(golden);
      const { tensors } = await openModelFolder(source.path);
      const config = JSON.parse(readFileSync(source.file('config.json'), 'utf8')) as Record<string, unknown>;
      const padded: unknown[] = [];
      for (const image_aspect_ratio of ['square', 'pad']) {
        using folder = temporaryFolder();
        const written = [...tensors].filter(([key]) => !/segment_encoder|text_hidden_fcs|vision_tower/.test(key));
        await writeCheckpoint(
          folder.path,
          written.map(([key, stored]) => storedToWrite(key, stored)),
        );
        folder.file('config.json', JSON.stringify({ ...config, image_aspect_ratio }));
        const elsewhere = { tokenizer: source.path, clip: join(golden.folder, golden.config.vision_tower as string) };
        await using model = await Mglmm.load(folder.path, elsewhere);
        const { forceSegmentation: _, ...plain } = request;
        const { segments, usage, timings } = await model.answer(plain);
        assert.deepEqual([segments, usage.masks, timings.cached.embedding], [[], 0, undefined]);
        const engine = await loadEngine(folder.path, elsewhere);
        padded.push(engine.model.config.clip.padToSquare);
        engine.model.dispose();
        await assert.rejects(model.answer(request), {
          name: 'ArgumentError',
          message: 'answer: forceSegmentation is true, but this model makes no masks',
        });
        await assert.rejects(model.segmentAnything({ image: request.image, points: [[1, 1]] }), {
          name: 'ArgumentError',
          message: 'mglmm: this checkpoint has no Segment Anything, expected one of a model that makes masks',
        });
        using _encoded = await model.encodeImage(request.image);
      }
      assert.deepEqual(padded, [undefined, true]);
    });

    test('on the device that is asked for, or the best there is, and says on which', async () => {
      using folder = tinyModel(golden);
      await using here = await Mglmm.load(folder.path, { device });
      await using best = await Mglmm.load(folder.path);
      assert.deepEqual([here.device, best.device], [device, devices()[1] ?? 'cpu']);
    });

    test('one process serves a model on the CPU and another here, at once', async () => {
      using folder = tinyModel(golden);
      await using here = await Mglmm.load(folder.path, { device, cacheBytes: 0 });
      await using there = await Mglmm.load(folder.path, { device: 'cpu', cacheBytes: 0 });
      const asked = { ...request, maxNewTokens: 3 };
      const alone = [await here.answer(asked), await there.answer(asked)];
      const together = await Promise.all([here.answer(asked), there.answer(asked)]);
      for (const [i, { ids, segments }] of together.entries())
        assert.deepEqual([ids, segments], [alone[i]?.ids, alone[i]?.segments], `of the model on ${i === 0 ? device : 'cpu'}`);
      assert.equal(tensor([1]).device, device);
    });

    test('tells how far it is, by bytes of files', async () => {
      using folder = tinyModel(golden);
      const told: ModelProgress[] = [];
      const lines: string[] = [];
      const logger = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line) };
      await using _model = await Mglmm.load(folder.path, { device, onProgress: (progress) => told.push(progress), logger });
      assert.deepEqual([...new Set(told.map(({ phase }) => phase))], ['open', 'weights', 'ready']);
      const last = told.at(-1);
      assert.ok(last && last.loaded === last.total && last.total > 0);
      for (const [i, { loaded }] of told.entries()) assert.ok(loaded >= (told[i - 1]?.loaded ?? 0));
      assert.deepEqual(lines, [`${folder.path}: mglmm in f32 on ${device}`]);
    });

    test('refuses what it cannot open, and says what to do', async () => {
      using folder = tinyModel(golden);
      const says = (options: LoadOptions, name: string, message: string | RegExp) =>
        assert.rejects(Mglmm.load(folder.path, options), { name, message });
      await says({ device: 'gpu' as never }, 'ArgumentError', /^device is "gpu", expected "cpu", "cuda" or/);
      await says({ device: 'cuda:98' }, 'DeviceError', /cuda:98/);
      await says({ dtype: 'fp8' as never }, 'ArgumentError', 'load: dtype is "fp8", expected one of f32, bf16, f16, int8, int4');
      await says({ dtyp: 'f32' } as never, 'ArgumentError', 'load: dtyp is no option; did you mean dtype?');
      await says({ cacheBytes: -1 }, 'ArgumentError', 'load: cacheBytes is -1, expected a whole number from 0');
      await says({ signal: AbortSignal.abort() }, 'AbortedError', 'load: aborted before it began');
      for (const path of [3, undefined])
        await assert.rejects(Mglmm.load(path as never), { name: 'ArgumentError', message: `load: path is ${path}, expected a string` });
      await says(null as never, 'ArgumentError', /^load: it was given null, expected an object with device, dtype, /);
      await says(
        { logger: {} as never },
        'ArgumentError',
        'load: logger is a Object, expected an object with the functions info and warn, such as console',
      );
      await assert.rejects(Mglmm.load('/nowhere', { device }), { name: 'CheckpointNotFoundError' });
      const tower = golden.config.vision_tower as string;
      await assert.rejects(Mglmm.load(join(golden.folder, tower), { device }), {
        name: 'CheckpointError',
        message: /is a CLIP tower alone: open the model that sees with it, and give it this as the option clip$/,
      });
      rmSync(folder.file(tower));
      await says(
        {},
        'CheckpointError',
        `${folder.path} has no CLIP tower, and ${tower} is not beside it: give its folder as the option clip`,
      );
      await using _model = await Mglmm.load(folder.path, { device, clip: join(golden.folder, tower) });
    });

    test('leaves nothing when a callback throws', async () => {
      using folder = tinyModel(golden);
      const fail = () => {
        throw new Error('enough');
      };
      const atEnd = ({ phase }: ModelProgress) => phase === 'ready' && fail();
      await collectGarbage();
      const before = memory(device).liveBytes;
      for (const options of [{ onProgress: atEnd }, { logger: { info: fail, warn: fail } }]) {
        await assert.rejects(Mglmm.load(folder.path, { device, ...options }), { message: 'enough' });
        await synchronize();
        assert.equal(memory(device).liveBytes, before);
      }
    });

    test("refuses a tokenizer that is not the model's", async () => {
      using folder = tinyModel(golden);
      const added = folder.file('added_tokens.json');
      const tokens = JSON.parse(readFileSync(added, 'utf8')) as Record<string, number>;
      const write = (changed: Record<string, number>) => {
        rmSync(added);
        writeFileSync(added, JSON.stringify(changed));
      };
      const { '[SEG]': seg, ...others } = tokens;
      write(others);
      await assert.rejects(Mglmm.load(folder.path, { device }), {
        name: 'CheckpointError',
        message: `${folder.path}: the tokenizer has no [SEG], with which the model asks for masks`,
      });
      write({ ...tokens, '[SEG]': 999 });
      await assert.rejects(Mglmm.load(folder.path, { device }), {
        name: 'CheckpointError',
        message: /: the tokenizer has token 999, the model \d+ tokens: it is another model's$/,
      });
      assert.equal(seg, golden.segId);
      rmSync(folder.file('tokenizer.model'));
      await assert.rejects(Mglmm.load(folder.path, { device }), { name: 'TokenizerError' });
      using other = tinyModel(golden);
      await using _model = await Mglmm.load(folder.path, { device, tokenizer: other.path });
    });

    test('is given up when its signal fires', async () => {
      using folder = tinyModel(golden);
      const controller = new AbortController();
      const onProgress = ({ phase }: ModelProgress) => {
        if (phase === 'weights') controller.abort(new Error('enough'));
      };
      await assert.rejects(Mglmm.load(folder.path, { device, signal: controller.signal, onProgress }), { name: 'AbortedError' });
    });
  });
}

test('progress is told ten times a second at most, and the ends of each phase always', () => {
  const told: ModelProgress[] = [];
  const teller = new ProgressTeller((progress) => told.push(progress));
  teller.tell('open', 0, 0, 'a');
  for (let i = 1; i <= 1000; i++) teller.tell('weights', i, 1000, 'b');
  teller.end('a');
  assert.deepEqual([told[0]?.phase, told[1]?.loaded, told.at(-2)?.loaded, told.at(-1)?.phase], ['open', 1, 1000, 'ready']);
  assert.ok(told.length < 10);
});
