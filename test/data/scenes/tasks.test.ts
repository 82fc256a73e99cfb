/** Samples of scenes: well-formed, true to the scene, of few words, by number alone. */
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { beforeAll, describe, test } from '@jest/globals';
import { JsonlDataset, writeJsonl } from '../../../lib/data/jsonl';
import { Loader } from '../../../lib/data/loader';
import { Mixture } from '../../../lib/data/mixture';
import { faultsOf, phrasesOf, type Sample } from '../../../lib/data/sample';
import { colorNames } from '../../../lib/data/scenes/colors';
import { type SplitName, splitNames } from '../../../lib/data/scenes/key';
import { kinds } from '../../../lib/data/scenes/kinds';
import { heldOutColor } from '../../../lib/data/scenes/layout';
import { makeScene, type Scene, type SceneThing } from '../../../lib/data/scenes/scene';
import { SceneDataset, sceneSample } from '../../../lib/data/scenes/scene_dataset';
import { type TaskName, taskNames, tasks } from '../../../lib/data/scenes/tasks';
import { settingPhrase } from '../../../lib/data/scenes/tasks/captions';
import {
  groupName,
  inOrder,
  listed,
  lookalikes,
  lookOf,
  middleOf,
  numberWord,
  sentence,
  withArticle,
} from '../../../lib/data/scenes/wording';
import { ArgumentError } from '../../../lib/errors';
import { rleArea, rleIou } from '../../../lib/image/rle';
import { turnsDuring } from '../../support/turns';
import { temporaryFolder } from '../../support/weights';
import { partsOf, shownBy, theOne } from './meant';
import type { Seen } from './survey';

const scenes = Array.from({ length: 150 }, (_, index) => makeScene({ seed: 3, split: 'train', index, size: 128 }));
const samplesOf = (task: TaskName, count: number): [Scene, Sample][] =>
  scenes.slice(0, count).map((scene) => [scene, sceneSample(scene, [task])]);

describe('in thousands of samples', () => {
  let seen: Record<SplitName, Seen>;
  beforeAll(() => {
    const printed = execFileSync(process.execPath, ['--import', 'tsx', join(__dirname, 'survey.ts'), '1100'], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
    });
    seen = JSON.parse(printed) as Record<SplitName, Seen>;
  });

  test('answers are in the form, and masks of what one can see', () => {
    for (const split of splitNames) {
      assert.deepEqual(seen[split].faults, []);
      assert.ok(seen[split].smallestMask >= 12, `${split}: ${seen[split].smallestMask}`);
      const odd = seen[split].texts.find(
        (text) => !/^[A-Z<][A-Za-z0-9,.?' <>/[\]-]*[.?]$/.test(text) || /undefined| {2}|\bnull\b/.test(text),
      );
      assert.equal(odd, undefined);
    }
  });

  test('there are few words, and answers are short', () => {
    assert.ok(new Set(splitNames.flatMap((split) => seen[split].words)).size < 1000);
    for (const [task, lengths] of Object.entries(seen.train.lengths)) {
      assert.ok(lengths.length >= 100);
      assert.ok((lengths[Math.floor(0.9 * lengths.length)] as number) <= 60, `${task}: ${lengths.slice(-20)}`);
    }
  });

  test('pairs that are held out are seen in `unseen` alone, and spoken of nowhere else', () => {
    for (const split of ['train', 'val', 'test'] as const) {
      assert.deepEqual(seen[split].heldOut, []);
      assert.ok(seen[split].pairs.length > (split === 'train' ? 0.95 : 0.9) * 9 * kinds.length);
      for (const kind of kinds) {
        const pair = `${heldOutColor(kind)} ${kind.name}`;
        const said = seen[split].texts.find((text) => new RegExp(`\\b${pair}\\b`).test(text));
        assert.equal(said, undefined);
      }
    }
    assert.equal(seen.unseen.heldOut.length, kinds.length);
    const known = new Set(seen.train.pairs);
    assert.ok(seen.unseen.heldOut.every((pair) => !known.has(pair)));
  });

  test('wording varies', () => {
    const openings = new Set(seen.train.texts.map((text) => text.split(' ').slice(0, 3).join(' ')));
    assert.ok(openings.size > 300, `${openings.size}`);
  });
});

describe('the masks of', () => {
  const union = (scene: Scene, kind: string) => scene.maskOf(...scene.things.filter((thing) => thing.kind === kind));

  test('semantic segmentation are of all that is of the class', () => {
    for (const [scene, sample] of samplesOf('semantic', 40)) {
      for (const [i, phrase] of phrasesOf(sample).entries()) {
        const region = scene.regions.find(({ name }) => name === phrase);
        const kind = scene.things.find((thing) => thing.kind === phrase)?.kind;
        if (region || kind) assert.deepEqual(sample.masks[i], region ? scene.maskOf(region) : union(scene, kind as string), sample.id);
        else assert.match(phrase, / /); // a part of all things of a kind
      }
    }
  });

  test('classes of one semantic question share no pixel', () => {
    for (const [, { masks, id }] of samplesOf('semantic', 150))
      assert.ok(
        rleIou(masks, masks).every((row, i) => row.every((iou, k) => i === k || iou === 0)),
        id,
      );
  });

  test('instance segmentation are of each thing of a kind, from left to right', () => {
    for (const [scene, sample] of samplesOf('instance', 40)) {
      const kind = phrasesOf(sample)[0]?.replace(/-1$/, '');
      const things = scene.things.filter((thing) => thing.kind === kind);
      const middles = things.map(({ box }) => box[0] + box[2] / 2);
      assert.equal(sample.masks.length, things.length);
      const order = things.map((_, i) => i).sort((a, b) => (middles[a] as number) - (middles[b] as number) || a - b);
      assert.deepEqual(
        sample.masks,
        order.map((i) => scene.maskOf(things[i] as Scene['things'][number])),
      );
    }
  });

  test('panoptic segmentation share no pixel and leave few', () => {
    for (const [scene, { masks }] of samplesOf('panoptic', 40)) {
      const covered = masks.reduce((area, mask) => area + rleArea(mask), 0);
      assert.ok(covered <= 128 * 128 && covered > 128 * 128 - 5 * scene.leastArea);
      const shared = rleIou(masks, masks);
      assert.ok(shared.every((row, i) => row.every((iou, k) => (i === k ? iou === 1 : iou === 0))));
    }
  });

  test('multiple targets are apart', () => {
    for (const [, { masks, id }] of samplesOf('multiple', 60)) {
      assert.ok(masks.length >= 2 && masks.length <= 3, id);
      const shared = rleIou(masks, masks);
      assert.ok(
        shared.every((row, i) => row.every((iou, k) => i === k || iou === 0)),
        id,
      );
    }
  });

  test('a phrase are of what it means, in its picture', () => {
    let parts = 0;
    for (const task of ['refer', 'multiple', 'empty', 'gcg', 'mgsc'] as const) {
      for (const [scene, sample] of samplesOf(task, 80)) {
        // A turn about one thing: its parts, called by their names alone.
        const wholes = sample.conversation.flatMap(({ question, answer }) => {
          const [, whole] = /^(.+) has <p>/.exec(answer) ?? [];
          assert.ok(!whole || question.includes(`the ${whole.slice(4)}`), question);
          return Array.from({ length: answer.split('[SEG]').length - 1 }, () => whole?.replace(/^The/, 'the'));
        });
        for (const [i, phrase] of phrasesOf(sample).entries()) {
          const whole = wholes[i];
          const [, color, name] = /^(?:an? )?(?:(\w+) )?(\w+)$/.exec(phrase) ?? [];
          const shown = whole ? partsOf(theOne(scene, whole), name as string) : shownBy(scene, phrase);
          if (whole)
            assert.ok(
              shown.every((one) => 'color' in one && (color ?? one.color) === one.color),
              `${phrase} of ${whole}`,
            );
          assert.deepEqual(sample.masks[i], scene.maskOf(...shown), `${phrase} in ${sample.id}`);
          parts += Number(shown.some((one) => 'isSeveral' in one));
        }
      }
    }
    assert.ok(parts > 200, `${parts}`);
  });

  test('what is reasoned about are of the kind that has the use', () => {
    for (const [scene, sample] of samplesOf('reason', 60)) {
      for (const [i, phrase] of phrasesOf(sample).entries()) {
        const thing = scene.things.find(({ kind, plural }) => phrase.endsWith(` ${kind}`) || phrase.endsWith(` ${plural}`));
        assert.ok(thing, phrase);
        assert.deepEqual(sample.masks[i], union(scene, thing.kind));
      }
    }
  });
});

describe('answers', () => {
  const said = (task: TaskName, count: number) =>
    samplesOf(task, count).flatMap(([scene, { conversation, id }]) => conversation.map((turn) => ({ scene, id, ...turn })));

  test('deny what is not there, and only that', () => {
    let denied = 0;
    for (const { scene, answer, question, id } of said('empty', 120)) {
      const [, list] = /I don't see any (.*) in this image\.$/.exec(answer) ?? [];
      assert.ok(list, answer);
      for (const name of list.split(' or ')) {
        const kind = kinds.find((one) => name.split(' ').includes(one.name))?.name;
        const color = colorNames.find((one) => name.split(' ').includes(one));
        assert.ok(kind && question.includes(name), `${name} in ${question}`);
        assert.ok(!scene.things.some((thing) => thing.kind === kind && (color === undefined || thing.color === color)), `${name} in ${id}`);
        denied++;
      }
      assert.equal(answer.startsWith('Sorry'), !answer.includes('[SEG]'));
    }
    assert.ok(denied >= 120);
  });

  test('of conversations are what the scene says, whatever is asked', () => {
    const asked = new Map<string, number>();
    for (const { scene, question, answer } of said('conversation', 150)) {
      const x = (text = '') => middleOf(theOne(scene, text), scene)[0];
      const area = (text = '') => theOne(scene, text).area;
      const alike = (things: readonly SceneThing[]) =>
        things.length === 0 ? 'nothing' : listed(lookalikes(things).map(groupName)).join('');
      const known: readonly (readonly [RegExp, (...found: string[]) => string])[] = [
        [
          /^What colour (?:is|are) the (\S+) of (.+)\?$/,
          (part, whole) => String(partsOf(theOne(scene, whole as string), part as string)[0]?.color),
        ],
        [/^(?:What colour is|Which colour has) (.+)\?$/, (text) => theOne(scene, text as string).color],
        [/^Is (.+?) (?:plain|striped), .+ (?:checked|plain)\?$/, (text) => theOne(scene, text as string).pattern ?? 'plain'],
        [/^Is (the .+?) (?:to the )?left or .*right of (.+)\?$/, (a, b) => (x(a) < x(b) ? 'left' : 'right')],
        [
          /^(?:Is there|Can you see) an? (.+?)(?: (?:in th|here).*)?\?$/,
          (name) => (scene.things.some(({ kind }) => kind === name) ? 'yes' : 'no'),
        ],
        [/^What (?:is|stands) on the table\?$/, () => alike(scene.things.filter(({ on }) => on !== undefined))],
        [
          /^What is (?:furthest to the|the) (left|right)/,
          (side) => withArticle(lookOf(inOrder(scene.things).at(side === 'left' ? 0 : -1) as SceneThing)),
        ],
        [/^Which is (?:larger|bigger).*, (the .+) or (the .+)\?$/, (a, b) => (area(a) > area(b) ? a : b) as string],
        [/^(?:Where is this|What place is this|Where was this)/, () => settingPhrase(scene)],
        [
          /^How many (animal|vehicle|plant|building)s /,
          (name) => numberWord(scene.things.filter(({ group }) => group === name).length).replace(/^no$/, 'none'),
        ],
        [
          /^How many (.+?) (?:are there|can you see)/,
          (name) => numberWord(scene.things.filter(({ plural }) => plural === name).length).replace(/^no$/, 'none'),
        ],
      ];
      const [pattern, truth] = known.find(([one]) => one.test(question)) ?? assert.fail(question);
      const [, ...found] = pattern.exec(question) as RegExpExecArray;
      assert.equal(answer, `${sentence(truth(...found))}.`, `${question} in ${scene.key.index}`);
      asked.set(pattern.source, (asked.get(pattern.source) ?? 0) + 1);
    }
    assert.equal(asked.size, 11);
    const often = (begin: string) => [...asked].reduce((sum, [source, count]) => sum + (source.startsWith(begin) ? count : 0), 0);
    assert.ok(often('^How many') > 20 && often('^(?:What colour') > 4, JSON.stringify([...asked]));
  });

  test('of captions name everything once', () => {
    for (const task of ['caption', 'gcg', 'mgsc'] as const) {
      for (const { scene, question, answer } of said(task, 40)) {
        if (task === 'mgsc' && !/ all | everything /.test(question)) continue;
        for (const { kind, plural, color } of scene.things)
          assert.match(answer, new RegExp(`${color} (${kind}|${plural})|(${kind}|${plural}) in [a-z ]*${color}`), question);
      }
    }
  });
});

describe('SceneDataset', () => {
  test('lets other JavaScript run between scenes that are asked for together', async () => {
    const dataset = new SceneDataset({ split: 'train', seed: 1, size: 48 });
    let ids: string[] = [];
    const turns = await turnsDuring(async () => {
      ids = await Promise.all([3, 0, 2, 1, 4, 7, 6, 5].map(async (index) => (await dataset.get(index)).id.split('-')[2] as string));
    });
    assert.ok(turns >= 8, `${turns} turns`);
    assert.equal(ids.join(), '3,0,2,1,4,7,6,5');
  });

  test('gives the same sample for the same number, of the tasks it was told', async () => {
    const options = { split: 'train', seed: 1, size: 64, tasks: { refer: 3, caption: 1 } } as const;
    const [one, two] = [new SceneDataset(options), new SceneDataset(options)];
    assert.equal(one.length, 2 ** 31);
    let referring = 0;
    for (let i = 0; i < 60; i++) {
      const sample = await one.get(i);
      assert.deepEqual(sample, await two.get(i));
      assert.ok(sample.task === 'refer' || sample.task === 'caption');
      referring += Number(sample.task === 'refer');
    }
    assert.ok(referring > 32 && referring < 58);
    const all = new SceneDataset({ split: 'test', seed: 1, size: 64 });
    assert.equal(all.length, 2000);
    assert.equal((await all.get(0)).id.startsWith('test-1-0-'), true);
  });

  test('says and masks the same on every machine', () => {
    const said = (Object.keys(tasks) as TaskName[]).map((task) => {
      const hash = createHash('sha256');
      for (const [, { conversation, masks }] of samplesOf(task, 12)) hash.update(JSON.stringify([conversation, masks]));
      return [task, hash.digest('hex').slice(0, 8)];
    });
    assert.deepEqual(Object.fromEntries(said), {
      ...{ caption: 'e13c243f', conversation: '964ee64c', refer: '40a18af3', semantic: 'a5c1b182', instance: '0871cd3a' },
      ...{ panoptic: 'c2885d78', multiple: '166c10e2', empty: '2459d669', reason: '457270b7', gcg: '4e0030d1', mgsc: '366fb9b6' },
      ...{ everything: '213c9898', looks: 'd6f105e3', numbers: 'bdaca286', places: 'd49cfa66', details: '30c4ea4d' },
    });
  });

  test('has several tasks in one sample, and all that there is to see', async () => {
    const sample = await new SceneDataset({ split: 'train', seed: 3, size: 64, together: 3, tasks: { refer: 1, gcg: 1 } }).get(5);
    assert.ok(/^(refer|gcg)(\+(refer|gcg)){2}$/.test(sample.task) && sample.conversation.length >= 3);
    const whole = await new SceneDataset({ split: 'train', seed: 3, size: 128, tasks: { everything: 1 } }).get(5);
    const { things, regions } = makeScene({ split: 'train', seed: 3, index: 5, size: 128 });
    const told = phrasesOf(whole).join();
    for (const { kind, plural } of things) assert.ok(told.includes(kind) || told.includes(plural), `${kind} is not in ${told}`);
    assert.ok(whole.masks.length > regions.length + 1);
    assert.deepEqual(faultsOf(sample).concat(faultsOf(whole)), []);
  });

  test('says of each thing how it looks, on which side it is, and which of how many of its kind and of all', () => {
    let several = 0;
    for (const [scene, sample] of samplesOf('everything', 40)) {
      const told = phrasesOf(sample);
      const middles = scene.things.map((thing) => middleOf(thing, scene)[0]);
      const leftmost = scene.things.filter((_, i) => middles.every((x, j) => i === j || x - (middles[i] as number) > 0.08));
      for (const [i, thing] of scene.things.entries()) {
        const alike = scene.things.filter(({ kind }) => kind === thing.kind).length;
        const number = numberWord(alike);
        const ofKind = alike === 1 ? `, one ${thing.kind}(,|$)` : `, (one|the .*) of ${number} ${thing.plural}(,|$)`;
        const x = middles[i] as number;
        const side = x < 0.36 ? ' on the left' : x > 0.64 ? ' on the right' : x < 0.42 || x > 0.58 ? '' : ' in the middle';
        const said = told.filter((phrase) => new RegExp(`^the ${lookOf(thing)}${side}${ofKind}`).test(phrase));
        assert.ok(said.length > 0, `${lookOf(thing)}, of ${number}, is not in ${told.join('; ')}`);
        if (scene.things.length > 1 && leftmost.includes(thing)) assert.ok(said.some((phrase) => /, the leftmost\b.* thing$/.test(phrase)));
        several += Number(alike > 1);
      }
    }
    assert.ok(several > 20, `${several} things of a kind that is there more than once`);
  });

  test('without the unified format only answers that describe have phrases, and masks are the same', async () => {
    for (const task of taskNames) {
      const options = { split: 'val', seed: 2, size: 64, tasks: { [task]: 1 } } as const;
      const [unified, bare] = [await new SceneDataset(options).get(3), await new SceneDataset({ ...options, segcap: false }).get(3)];
      assert.deepEqual(bare.masks, unified.masks);
      const describes = ['caption', 'conversation', 'panoptic', 'gcg', 'mgsc'].includes(task);
      const expected = unified.conversation.map(({ question, answer }) => ({
        question,
        answer: describes ? answer : answer.replace(/<p> .*? <\/p> /g, ''),
      }));
      assert.deepEqual(bare.conversation, expected);
    }
  });

  test('is drawn by the threads of a loader, and written to a file and read again', async () => {
    const dataset = new SceneDataset({ split: 'val', seed: 1, size: 48, tasks: { gcg: 1 } });
    await using loader = new Loader({ mixture: new Mixture([{ dataset }], 1), batchSize: 3, workers: 1 });
    const { samples, images, masks } = await loader.batch(0);
    for (const [i, sample] of samples.entries()) {
      assert.ok(typeof sample.image === 'object');
      assert.deepEqual(images[i]?.data, makeScene(sample.image.scene).pixels);
      assert.equal(masks[i]?.length, sample.masks.length);
    }
    using folder = temporaryFolder();
    const path = folder.file('scenes.jsonl');
    await writeJsonl(path, samples);
    await using file = await JsonlDataset.open(path);
    assert.deepEqual(await Promise.all(samples.map((_, i) => file.get(i))), samples);
  });

  test('refuses what it is not', async () => {
    const good = { split: 'train', seed: 1 } as const;
    for (const [options, message] of [
      [{ tasks: { refer: -1 } }, /^scenes: tasks\.refer is -1, expected a number, 0 or more$/],
      [{ tasks: { drawing: 1 } as object }, /^scenes: tasks has drawing, expected caption, conversation, /],
      [{ tasks: { refer: 0 } }, /^scenes: tasks has no weight above 0, expected at least one$/],
      [{ together: 0 }, /^scenes: together is 0, expected a whole number above 0$/],
      [{ size: 5000 }, /^scene: size is 5000, /],
    ] as const)
      assert.throws(
        () => new SceneDataset({ ...good, ...options }),
        (error: Error) => error instanceof ArgumentError && message.test(error.message),
      );
    await assert.rejects(new SceneDataset(good).get(-1), ArgumentError);
    assert.equal(taskNames.length, 11);
  });
});
