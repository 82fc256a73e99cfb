/** The form of phrases and masks as rules for `generate`. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { GrammarConstraint, grammarRules } from '../../lib/inference/grammar_constraint';
import { SentencePiece } from '../../lib/text/sentence_piece';
import { createTokenizer } from '../../lib/text/tokenizer';
import { tinyTokenizer } from '../support/tiny_model';

const size = 70;
const [seg, open, close] = [size, size + 1, size + 2];
const added = new Map([
  ['[SEG]', seg],
  ['<p>', open],
  ['</p>', close],
]);
const tokenizer = createTokenizer(new SentencePiece(tinyTokenizer(size)), { added });
const { eos } = tokenizer;

test('a mask that is owed comes where the model would end, and from then on it may end', () => {
  const row = new GrammarConstraint(grammarRules(tokenizer, true), 20);
  const rule = row.next();
  assert.ok('forbidden' in rule && ![...rule.forbidden].includes(eos));
  assert.equal(rule.instead?.of, eos);
  const { among } = rule.instead!;
  assert.ok('allowed' in among);
  assert.deepEqual([...among.allowed].sort(), [seg, open]);
  for (const id of [10, 11]) {
    row.accept(id);
    assert.equal(row.next(), rule, 'one object for one rule');
  }
  for (const id of [open, 12, close, seg]) row.accept(id);
  const after = row.next();
  assert.ok('forbidden' in after && ![...after.forbidden].includes(eos));
  assert.equal(after.instead, undefined);
});

test('near the limit the mask is made in the room that is left', () => {
  const row = new GrammarConstraint(grammarRules(tokenizer, true), 1);
  const rule = row.next();
  assert.deepEqual('allowed' in rule && [...rule.allowed], [seg]);
});

test('rules are made once for a tokenizer', () => {
  assert.equal(grammarRules(tokenizer), grammarRules(tokenizer, false));
  assert.notEqual(grammarRules(tokenizer, true), grammarRules(tokenizer));
  const rule = new GrammarConstraint(grammarRules(tokenizer), 20).next();
  assert.ok('forbidden' in rule && ![...rule.forbidden].includes(eos) && rule.instead === undefined);
});
