/** Questions to learn looking by: each answered by the scene. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import type { Sample } from '../../../lib/data/sample';
import { colorNames } from '../../../lib/data/scenes/colors';
import { makeScene, type Scene, type SceneThing } from '../../../lib/data/scenes/scene';
import { sceneSample } from '../../../lib/data/scenes/scene_dataset';
import type { TaskName } from '../../../lib/data/scenes/tasks';
import { inOrder, lookOf, middleOf, numberWord, withArticle } from '../../../lib/data/scenes/wording';

const scenes = Array.from({ length: 120 }, (_, index) => makeScene({ seed: 3, split: 'train', index, size: 128 }));
const samplesOf = (task: TaskName, count: number): [Scene, Sample][] =>
  scenes.slice(0, count).map((scene) => [scene, sceneSample(scene, [task])]);

/** The one thing of these words. */
function called(text: string | undefined, scene: Scene, id: string) {
  const [thing, ...others] = scene.things.filter(({ kind, color, pattern }) =>
    [
      kind,
      `${color} ${kind}`,
      `${pattern} ${color} ${kind}`,
      `${pattern} ${kind}`,
      `${kind} in ${color}`,
      `${kind} in ${pattern} ${color}`,
    ].includes(text ?? ''),
  );
  assert.ok(thing && others.length === 0, `${text} in ${id}`);
  return thing;
}

test('asks for facts, each answered by the scene, none told by a question beside it', () => {
  const asked = { color: 0, part: 0, pattern: 0, count: 0, group: 0, there: 0, side: 0, where: 0 };
  for (const task of ['looks', 'numbers', 'places'] as const)
    for (const [scene, { conversation, masks, id }] of samplesOf(task, 80)) {
      assert.ok(conversation.length > 0 && conversation.length <= 9 && masks.length === 0, id);
      assert.equal(new Set(conversation.map(({ question }) => question)).size, conversation.length, id);
      const found = (pattern: RegExp, question: string, kind: keyof typeof asked) => {
        const [, ...texts] = pattern.exec(question) ?? [];
        asked[kind] += Number(texts.length > 0);
        return texts.length > 0 ? texts : undefined;
      };
      const x = (text: string | undefined) => middleOf(called(text, scene, id), scene)[0];
      const named: string[] = [];
      for (const { question, answer } of conversation) {
        const said = answer.replace(/\.$/, '').toLowerCase();
        const [part, whole] = found(/^What colour (?:is|are) the (.+) of the (.+)\?$/, question, 'part') ?? [];
        if (part) {
          const shown = called(whole, scene, id).parts.filter(({ name, plural }) => name === part || plural === part);
          assert.ok(shown.length > 0 && shown.every(({ color }) => color === said), `${question} ${answer}`);
          continue;
        }
        const [colored] = found(/^What colour is the (.+)\?$/, question, 'color') ?? [];
        if (colored) assert.equal(said, called(colored, scene, id).color);
        const [worn] = found(/^Is the (.+) plain, striped, dotted or checked\?$/, question, 'pattern') ?? [];
        if (worn) assert.equal(said, called(worn, scene, id).pattern ?? 'plain', question);
        if (task === 'looks') assert.ok(!colorNames.some((color) => question.split(/[ ?]/).includes(color)), question);
        const [plural] = found(/^How many (.+) are there\?$/, question, 'count') ?? [];
        if (plural) {
          const counted = scene.things.filter((thing) => thing.plural === plural || `${thing.group}s` === plural);
          assert.equal(said, counted.length === 0 ? 'none' : numberWord(counted.length), question);
          const isGroup = counted[0] !== undefined && counted[0].plural !== plural;
          asked.group += Number(isGroup);
          named.push(...(isGroup ? new Set(counted.map(({ kind }) => kind)) : [counted[0]?.kind ?? plural]));
        }
        const [there] = found(/^Is there an? (.+)\?$/, question, 'there') ?? [];
        if (there)
          assert.equal(
            said === 'yes',
            scene.things.some(({ kind }) => kind === there),
            question,
          );
        if (there) named.push(there);
        const [one, mark] = found(/^Is the (.+) left or right of the (.+)\?$/, question, 'side') ?? [];
        if (one) assert.equal(said === 'left', x(one) < x(mark), question);
        const [placed] = found(/^Where is the (.+)\?$/, question, 'where') ?? [];
        if (placed) assert.equal(said, x(placed) < 0.36 ? 'on the left' : x(placed) > 0.64 ? 'on the right' : 'in the middle', question);
      }
      assert.equal(new Set(named).size, named.length, `${id} asks twice for one kind: ${named}`);
    }
  for (const [kind, count] of Object.entries(asked)) assert.ok(count >= 10, `${count} of ${kind}`);
});

test('asks for details of each thing at most once, and which of two is bigger', () => {
  const asked = { color: 0, pattern: 0, part: 0, bigger: 0, end: 0 };
  for (const [scene, { conversation, masks, id }] of samplesOf('details', 120)) {
    assert.ok(conversation.length > 0 && conversation.length <= 9 && masks.length === 0, id);
    assert.equal(new Set(conversation.map(({ question }) => question)).size, conversation.length, id);
    const counted = { color: 0, pattern: 0, part: 0, bigger: 0, end: 0 };
    for (const { question, answer } of conversation) {
      const said = answer.replace(/\.$/, '').toLowerCase();
      const [, part, whole] = /^What colour (?:is|are) the (\S+) of the (.+)\?$/.exec(question) ?? [];
      const [, one, other] = /^Which is (?:larger|bigger)(?: .+)?, the (.+) or the (.+)\?$/.exec(question) ?? [];
      if (part) {
        counted.part++;
        const shown = called(whole, scene, id).parts.filter(({ name, plural }) => name === part || plural === part);
        assert.ok(shown.length > 0 && shown.every(({ color }) => color === said), `${question} ${answer}`);
      } else if (/^W(hat|hich) colour (is|has) the /.test(question)) {
        counted.color++;
        assert.ok(
          scene.things.some(({ kind, color }) => color === said && question.includes(kind)),
          `${question} ${answer}`,
        );
      } else if (/plain, striped, dotted or checked|striped, dotted, checked or plain/.test(question)) {
        counted.pattern++;
        assert.ok(
          scene.things.some(({ kind, pattern = 'plain' }) => pattern === said && question.includes(kind)),
          `${question} ${answer}`,
        );
      } else if (one) {
        counted.bigger++;
        const [a, b] = [called(one, scene, id), called(other, scene, id)];
        assert.equal(said, `the ${a.area > b.area ? one : other}`, question);
      } else if (/^What is (furthest to the|the (left|right)most thing)/.test(question)) {
        counted.end++;
        assert.equal(said, withArticle(lookOf(inOrder(scene.things).at(/left/.test(question) ? 0 : -1) as SceneThing)), question);
      } else assert.match(question, /^(How many|Is there) /); // where a scene gives nothing else
    }
    if (counted.color + counted.pattern + counted.part > 0) {
      assert.ok(counted.color + counted.pattern + counted.part <= scene.things.length, id);
      assert.ok(counted.bigger <= 2 && counted.end <= 1, id);
    }
    for (const kind of Object.keys(asked) as (keyof typeof asked)[]) asked[kind] += counted[kind];
  }
  for (const [kind, count] of Object.entries(asked)) assert.ok(count >= 20, `${count} of ${kind}`);
});
