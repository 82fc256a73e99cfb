/** A tokenizer for few words: each word of a text is one token, other words fall into letters. Files as Hugging Face writes them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Tokens that a model of pictures and masks adds to its words. */
const added = ['<im_start>', '<im_end>', '<bbox>', '<point>', '[SEG]', '<p>', '</p>'];
const space = '▁';

/**
 * Writes tokenizer.json and added_tokens.json into a folder.
 * @param texts - whose words are to be tokens.
 * @returns how many tokens there are.
 */
export function writeWordTokenizer(folder: string, texts: readonly string[]): number {
  const vocabulary = new Map<string, number>();
  const add = (piece: string) => {
    if (!vocabulary.has(piece)) vocabulary.set(piece, vocabulary.size);
  };
  const merges: [string, string][] = [];
  for (const piece of ['<unk>', '<s>', '</s>', space]) add(piece);
  for (const letter of texts.join('')) add(letter === ' ' ? space : letter);
  // A word is put together from its beginning, so each beginning is a piece too.
  for (const word of new Set(texts.flatMap((text) => text.match(/[a-zA-Z]+/g) ?? []))) {
    let piece = space;
    for (const letter of word) {
      if (!vocabulary.has(piece + letter)) merges.push([piece, letter]);
      piece += letter;
      add(piece);
    }
  }
  const specials = ['<unk>', '<s>', '</s>'].map((content, id) => ({ id, content, special: true }));
  const tokenizer = {
    version: '1.0',
    added_tokens: specials,
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: space },
        { type: 'Replace', pattern: { String: ' ' }, content: space },
      ],
    },
    pre_tokenizer: null,
    post_processor: null,
    decoder: null,
    model: { type: 'BPE', vocab: Object.fromEntries(vocabulary), merges, unk_token: '<unk>', fuse_unk: true, byte_fallback: false },
  };
  writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  const tokens = Object.fromEntries(added.map((token, i) => [token, vocabulary.size + i]));
  writeFileSync(join(folder, 'added_tokens.json'), JSON.stringify(tokens));
  return vocabulary.size + added.length;
}
