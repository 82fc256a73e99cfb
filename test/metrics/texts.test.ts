/** CIDEr-D against numbers of a Python program that follows pycocoevalcap's, and answers and phrases compared. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { captionTokens } from '../../lib/metrics/caption_tokens';
import { ciderD } from '../../lib/metrics/cider';
import { isExactMatch, sharedWords } from '../../lib/metrics/texts';
import { turnsDuring } from '../support/turns';

const images = [
  {
    caption: 'A red car stands near a house.',
    references: ['a red car in front of a house', 'There is a car beside the house, with a red roof.'],
  },
  { caption: 'Two dogs play with a ball on the grass', references: ['Two dogs play with a ball.', 'dogs run on the grass'] },
  {
    caption: 'a man in a hat sails a small boat boat boat',
    references: ['a man sails a boat on a lake', 'a person with a hat in a small boat'],
  },
  { caption: 'A lamp!', references: ['a table with a lamp on it'] },
];

const wanted = [2.1524964938843802, 4.553223516514239, 1.8700174820600983, 1.8027730181868684];

describe('CIDEr-D', () => {
  test('is that of the reference', async () => {
    const { cider, perImage } = await ciderD(images);
    assert.equal(perImage.length, wanted.length);
    for (const [i, value] of wanted.entries()) assert.ok(Math.abs((perImage[i] as number) - value) < 1e-9, `${i}: ${perImage[i]}`);
    assert.ok(Math.abs(cider - wanted.reduce((sum, value) => sum + value, 0) / wanted.length) < 1e-9);
  });

  test('is 10 for the only reference, whatever the order of the pictures', async () => {
    const same = images.map(({ references: [first] }) => ({ caption: first as string, references: [first as string] }));
    assert.ok(Math.abs((await ciderD(same)).cider - 10) < 1e-9);
    const [there, back] = [(await ciderD(images)).perImage, (await ciderD([...images].reverse())).perImage];
    for (const [i, value] of [...back].reverse().entries()) assert.ok(Math.abs(value - (there[i] as number)) < 1e-12);
  });

  test('is 0 for one picture, where each word is said of all, and for an empty caption; NaN for none', async () => {
    assert.equal((await ciderD(images.slice(0, 1))).cider, 0);
    assert.equal((await ciderD([{ caption: '', references: ['a dog'] }, ...images])).perImage[0], 0);
    assert.ok(Number.isNaN((await ciderD([])).cider));
  });

  test('lets other JavaScript run in between', async () => {
    const many = Array.from({ length: 400 }, () => images[0] as (typeof images)[number]);
    assert.ok((await turnsDuring(() => ciderD(many))) > 50);
  });

  test('does not pay for a word said again and again', async () => {
    const scoreOf = async (caption: string) =>
      (await ciderD([{ caption, references: ['a grey cat sleeps'] }, ...images])).perImage[0] as number;
    assert.ok((await scoreOf('cat cat cat cat cat')) < (await scoreOf('a cat sleeps')));
  });
});

test('words of captions', () => {
  assert.deepEqual(captionTokens("The dog's red-haired friend doesn't sit, it (really) cannot: 1,000 times 3.5!"), [
    ...['the', 'dog', "'s", 'red-haired', 'friend', 'does', "n't", 'sit', 'it', 'really', 'can', 'not'],
    ...['1,000', 'times', '3.5'],
  ]);
  assert.deepEqual(captionTokens(' ... -- '), []);
  assert.deepEqual(captionTokens("The 1st 20-year-old 4x4 of the 1950s, a 1960's: 3.5m long, 10:30pm, 1,000th."), [
    ...['the', '1st', '20-year-old', '4x4', 'of', 'the', '1950s', 'a', '1960', "'s", '3.5m', 'long', '10:30pm', '1,000th'],
  ]);
  assert.deepEqual(captionTokens('In 2015, 3 of 20-30 at 10:30. 5% is 1,000,000'), [
    ...['in', '2015', '3', 'of', '20', '30', 'at', '10:30', '5', '%', 'is', '1,000,000'],
  ]);
  assert.deepEqual(captionTokens('cafe\u0301'), ['café']);
});

test('an exact match is of words, whatever case, spaces and the end are', () => {
  assert.ok(isExactMatch(' There are  two cats', 'there are two cats.'));
  assert.ok(!isExactMatch('There are two cats', 'There are three cats'));
  assert.ok(!isExactMatch('', 'Two.'));
});

test('phrases share words', () => {
  assert.equal(sharedWords('the red car', 'A red car'), 1);
  assert.equal(sharedWords('red car', 'car'), 1 / 2);
  assert.equal(sharedWords('red car', 'blue car'), 1 / 3);
  assert.equal(sharedWords('the roof of the house', 'roof'), 1 / 2);
  assert.equal(sharedWords('car', ''), 0);
  assert.equal(sharedWords('', ''), 0);
});
