/** Every string of the goldens of the tokenizer, both ways, through tokenizer.model and through a tokenizer.json made from it. */
import { strict as assert } from 'node:assert';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { loadTokenizer } from '../../lib/text/tokenizer';
import { tokenizerJsonOf } from '../support/sentence_piece';
import { tokenizerFolder, tokenizerGoldens } from '../support/tokenizer_golden';

interface GoldenString {
  text: string;
  ids: number[];
  decoded: string;
}

test('there are goldens of a tokenizer', () => assert.ok(tokenizerGoldens.length > 0));

for (const golden of tokenizerGoldens) {
  const folder = tokenizerFolder(golden);
  const strings = golden.read<GoldenString[]>('strings.json');

  const readers = {
    'tokenizer.model': () => loadTokenizer(folder),
    'tokenizer.json': async () => {
      const path = tokenizerFolder(golden);
      writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(tokenizerJsonOf(readFileSync(join(path, 'tokenizer.model')))));
      rmSync(join(path, 'tokenizer.model'));
      return loadTokenizer(path);
    },
  };
  for (const [file, load] of Object.entries(readers)) {
    describe(`${golden.folder}, by ${file}`, () => {
      test('has the ids of its tokens', async () => {
        const { config } = golden;
        const tokenizer = await load();
        expect(Object.fromEntries(tokenizer.added)).toEqual(config.added_tokens);
        const { size, bos, eos, unk, pad } = tokenizer;
        expect({ size, bos, eos, unk, pad }).toEqual({
          size: config.vocab_size,
          bos: config.bos,
          eos: config.eos,
          unk: config.unk,
          pad: config.pad,
        });
      });

      test(`encodes its ${strings.length} strings`, async () => {
        const tokenizer = await load();
        for (const { text, ids } of strings) expect([text, tokenizer.encode(text, { bos: true, special: true })]).toEqual([text, ids]);
      });

      test(`decodes its ${strings.length} strings`, async () => {
        const tokenizer = await load();
        for (const { ids, decoded } of strings) expect([ids, tokenizer.decode(ids)]).toEqual([ids, decoded]);
      });
    });
  }
}
