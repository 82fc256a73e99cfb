/** MGSCData as samples: what scenes write is read again, and what others write as the published loader reads it. */
import { strict as assert } from 'node:assert';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { MgscDataset } from '../../../lib/data/datasets/mgsc';
import { decodeSample } from '../../../lib/data/decode_sample';
import { EachOnce } from '../../../lib/data/each_once';
import { Loader } from '../../../lib/data/loader';
import { Mixture } from '../../../lib/data/mixture';
import { faultsOf, phrasesOf, readSample, type Sample } from '../../../lib/data/sample';
import { mgscConversations } from '../../../lib/data/scenes/mgsc';
import { makeScene } from '../../../lib/data/scenes/scene';
import { writeScenes } from '../../../lib/data/scenes/write_scenes';
import { AbortedError, ArgumentError, DataError, SampleError, type SampleFault } from '../../../lib/errors';
import { readRecords } from '../../../lib/eval/record';
import { runEvaluation } from '../../../lib/eval/run';
import { parseRleAnnotation, type Rle, rleFromRuns } from '../../../lib/image/rle';
import { parseSegCap } from '../../../lib/text/segcap';
import { Oracle } from '../../support/oracle';
import { temporaryFolder } from '../../support/weights';

const annotationOf = ({ size, counts }: Rle) => JSON.stringify({ size, counts: Buffer.from(counts, 'latin1').toString('base64') });
const [left, right] = [rleFromRuns([0, 6, 6], [2, 6]), rleFromRuns([6, 6], [2, 6])];
const items = { dog_1: { label: 'dog', mask: annotationOf(left) }, sofa_2: { label: 'sofa', mask: annotationOf(right) } };
const good = {
  file_name: 'sa_1.jpg',
  label: 'root',
  type: 'root',
  gcg_caption: '<dog_1>A brown dog</dog_1> lies on <sofa_2>the grey sofa</sofa_2>.',
  gcg_labels: ['dog_1', 'sofa_2'],
  ...items,
};

const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

let count = 0;
/** A folder of annotations with one file of these conversations. */
function annotationsOf(conversations: unknown): string {
  const path = folder.file(`annotations-${count++}`);
  mkdirSync(path);
  writeFileSync(join(path, 'mglmm_sa_1.json'), typeof conversations === 'string' ? conversations : JSON.stringify(conversations));
  return path;
}
const open = (conversations: unknown) => MgscDataset.open({ annotations: annotationsOf(conversations), images: '/pictures' });
const only = async (conversation: unknown) => (await open([conversation])).get(0);

/** The faults of a conversation. */
const says = async (conversation: unknown, ...expected: readonly [SampleFault['problem'], string, RegExp][]) => {
  const error = await only(conversation).then(
    () => assert.fail('expected an error'),
    (caught: unknown) => caught,
  );
  assert.ok(error instanceof SampleError, String(error));
  assert.match(error.file, /mglmm_sa_1\.json$/);
  assert.equal(error.line, 1);
  assert.deepEqual(
    error.faults.map(({ problem, field }) => [problem, field]),
    expected.map(([problem, field]) => [problem, field]),
  );
  for (const [i, [, , reason]] of expected.entries()) assert.match(error.faults[i]?.reason ?? '', reason);
};

describe('MGSCData', () => {
  test('is asked and answered as it was published', async () => {
    const set = await open([good, { ...good, label: 'subtree: the dog', gcg_caption: '"<sofa_2>Fur</sofa_2>, <dog_1> legs </dog_1>"' }]);
    assert.equal(set.length, 2);
    assert.deepEqual(await set.get(0), {
      id: 'mglmm_sa_1-0',
      image: '/pictures/sa_1.jpg',
      conversation: [
        {
          question:
            'Please provide a detailed description of all the objects present in this image in a comprehensive format. Please respond with interleaved segmentation masks for the corresponding parts of the answer.',
          answer: '<p> A brown dog </p> [SEG] lies on <p> the grey sofa </p> [SEG].',
        },
      ],
      masks: [left, right],
      task: 'mgsc',
    });
    const { conversation, masks } = await set.get(1);
    assert.deepEqual(conversation, [
      {
        question:
          'Can you provide a detailed description in a comprehensive format for the dog in the image. Please respond with interleaved segmentation masks for the corresponding parts of the answer.',
        answer: '<p> Fur </p> [SEG],  <p> legs </p> [SEG] ',
      },
    ]);
    assert.deepEqual(masks, [right, left]); // in the order of the text
  });

  test('says what has no mask without a mask, and leaves out what has no caption', async () => {
    for (const mask of [null, 'None', undefined]) {
      const sample = await only({ ...good, sofa_2: { label: 'sofa', mask } });
      assert.equal(sample.conversation[0]?.answer, '<p> A brown dog </p> [SEG] lies on the grey sofa.');
      assert.deepEqual(sample.masks, [left]);
    }
    const { gcg_caption: _, ...captionless } = good;
    for (const none of [{ ...good, gcg_caption: ' "" ' }, { ...good, gcg_caption: null }, captionless]) {
      const set = await open([none, good]);
      assert.equal(set.length, 1);
      assert.equal((await set.get(0)).id, 'mglmm_sa_1-1');
    }
    await says(3, ['record', '', /expected object/]);
    await says({ ...good, gcg_caption: 3 }, ['record', 'gcg_caption', /expected a caption/]);
    await assert.rejects(open([{ ...good, gcg_caption: '' }]), { name: 'DataError', message: /has no conversation with a caption$/ });
  });

  test('that is wrong says all that is, and where', async () => {
    const caption = (gcg_caption: string) => ({ ...good, gcg_caption });
    await says(caption('<dog_1>A dog</dog_1>.'), ['tags', 'gcg_caption', /^names sofa_2 0 times, expected once$/]);
    await says(caption('<dog_1>A dog</dog_1> and <dog_1>a dog</dog_1> on <sofa_2>a sofa</sofa_2>'), [
      'tags',
      'gcg_caption',
      /^names dog_1 2 times/,
    ]);
    await says(
      caption('<dog_1>A dog</dog_1> on <sofa_2>a <cat_3>sofa</cat_3></sofa_2>'),
      ['tags', 'gcg_caption', /^has <cat_3>,/],
      ['tags', 'gcg_caption', /^has <\/cat_3>, which is no key/],
    );
    await says(
      caption('<dog_1>A <sofa_2>dog</sofa_2> on </dog_1>'),
      ['tags', 'gcg_caption', /^has <sofa_2> within <dog_1>$/],
      ['tags', 'gcg_caption', /^has <\/dog_1> where it is not open$/],
      ['tags', 'gcg_caption', /^names dog_1 0 times/],
    );
    await says(
      caption('<dog_1> </dog_1> on <sofa_2>a [SEG]'),
      ['tags', 'gcg_caption', /^has <sofa_2> and no end of it$/],
      ['tags', 'gcg_caption', /^has \[SEG\] in it/],
      ['tags', 'gcg_caption', /^has nothing between <dog_1>/],
      ['tags', 'gcg_caption', /^names sofa_2 0 times/],
    );
    // What stands on both sides of a tag is a name in the end.
    const one = { ...good, gcg_labels: ['dog_1'] };
    for (const [gcg_caption, name] of [
      ['<<dog_1>p></dog_1> x', /^has <p> in it, which means something/],
      ['<<dog_1>/p> dog</dog_1>', /^has <\/p> in it/],
      ['<<dog_1>/s> dog</dog_1>', /^has <\/s> in it/],
      ['[S<dog_1>EG] dog</dog_1>', /^has \[SEG\] in it/],
    ] as const)
      await says({ ...one, gcg_caption }, ['tags', 'gcg_caption', name]);
    await says(
      { ...good, dog_1: { mask: '{' }, sofa_2: 7 },
      ['rle', 'dog_1.mask', /no JSON/],
      ['record', 'sofa_2', /expected what the key is of/],
    );
    await says(
      { ...good, gcg_labels: undefined, file_name: 3 },
      ['record', 'file_name', /^expected the name/],
      ['record', 'gcg_labels', /keys$/],
    );
  });

  test('that is wrong in what only its words or its pixels say is named by the same place', async () => {
    const images = folder.file('pictures');
    mkdirSync(images, { recursive: true });
    const annotations = annotationsOf([good, { ...good, gcg_caption: '<dog_1>A dog</dog_1> <sofa_2>ASSISTANT:</sofa_2>' }, good]);
    const dataset = await MgscDataset.open({ annotations, images });
    const file = join(annotations, 'mglmm_sa_1.json');
    await assert.rejects(readSample(dataset, 1), { name: 'SampleError', problem: 'tags', file, line: 2 });
    assert.throws(() => dataset.placeOf(3), ArgumentError);
    await using loader = new Loader({ mixture: new EachOnce([dataset], 1), batchSize: 3, workers: 0, onBadSample: 'skip', onSkip });
    const places: unknown[] = [];
    function onSkip(error: SampleError): void {
      places.push([error.file, error.line, error.problem]);
    }
    assert.equal((await loader.batch(0)).skipped, 3);
    assert.deepEqual(places.sort(), [
      [file, 1, 'missing_image'],
      [file, 2, 'tags'],
      [file, 3, 'missing_image'],
    ]);
    await runEvaluation(new Oracle([]), [dataset], folder.file('records.jsonl'));
    const ids: string[] = [];
    for await (const { id } of readRecords(folder.file('records.jsonl'))) ids.push(id);
    assert.deepEqual(ids, ['mglmm_sa_1-0', `${file}:2`, 'mglmm_sa_1-2']);
    await using without = new Loader({ mixture: new Mixture([{ dataset }], 1), batchSize: 1, workers: 0, onBadSample: 'skip' });
    await assert.rejects(without.batch(0), { name: 'DataError', message: /annotations-\d+: 101 samples in a row are bad/ });
  });

  test('that cannot be read is one bad sample; a folder that is not there is an error', async () => {
    for (const [content, reason] of [
      ['[', /is no JSON/],
      [{}, /is no list/],
    ] as const) {
      const set = await open(content);
      assert.equal(set.length, 1);
      await assert.rejects(set.get(0), { name: 'SampleError', problem: 'json', message: reason });
    }
    const annotations = annotationsOf([good]);
    await assert.rejects(MgscDataset.open({ annotations: folder.file('none'), images: '' }), DataError);
    await assert.rejects(MgscDataset.open({ annotations, images: '', split: folder.file('none') }), DataError);
    await assert.rejects(MgscDataset.open({ annotations, images: 3 as never }), ArgumentError);
    await assert.rejects(MgscDataset.open({ annotations, images: '', signal: AbortSignal.abort() }), AbortedError);
    await assert.rejects((await MgscDataset.open({ annotations, images: '' })).get(1), ArgumentError);
  });

  test('is what a split names, in its order', async () => {
    const annotations = annotationsOf([good]);
    for (const name of ['b', 'c']) writeFileSync(join(annotations, `${name}.json`), JSON.stringify([good, good]));
    writeFileSync(join(annotations, 'split.txt'), 'c.json\r\n\nmglmm_sa_1.json\n');
    const set = await MgscDataset.open({ annotations, images: '', split: join(annotations, 'split.txt') });
    const ids = await Promise.all([0, 1, 2].map(async (i) => (await set.get(i)).id));
    assert.deepEqual([set.length, ...ids], [3, 'c-0', 'c-1', 'mglmm_sa_1-0']);
    assert.equal((await MgscDataset.open({ annotations, images: '' })).length, 5);
  });

  describe('of scenes', () => {
    const written = folder.file('scenes');
    const key = { split: 'val', seed: 4, size: 96 } as const;
    let samples: Sample[];
    beforeAll(async () => {
      mkdirSync(written);
      await writeScenes(written, { ...key, count: 4 });
      const [annotations, images] = [join(written, 'annotations'), join(written, 'images')];
      const set = await MgscDataset.open({ annotations, images, split: join(written, 'MGLMM_val_split.txt') });
      samples = await Promise.all(Array.from({ length: set.length }, (_, i) => set.get(i)));
    });

    test('has every conversation, phrase and mask of them', () => {
      const all = [0, 1, 2, 3].flatMap((index) => mgscConversations(makeScene({ ...key, index })));
      assert.equal(samples.length, all.length);
      for (const [i, sample] of samples.entries()) {
        const { gcg_caption, gcg_labels, label, ...own } = all[i] as (typeof all)[number];
        assert.deepEqual(faultsOf(sample), []);
        assert.equal(parseSegCap(sample.conversation[0]?.answer ?? '').text, gcg_caption.replace(/<[^>]+>/g, ''));
        assert.deepEqual(
          sample.masks,
          gcg_labels.map((name) => parseRleAnnotation((own[name] as { mask: string }).mask)),
        );
        assert.equal(phrasesOf(sample).length, gcg_labels.length);
        if (label !== 'root') assert.ok(sample.conversation[0]?.question.includes(` for ${label.slice('subtree: '.length)} in the image.`));
      }
    });

    test('fits their pictures', async () => {
      for (const sample of samples) assert.ok('decoded' in (await decodeSample(sample)), sample.id);
    });
  });
});
