import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { compareShapes, differenceError } from '../../lib/nn/difference';

describe('differences between a module and a checkpoint', () => {
  const shapes = (entries: Record<string, number[]>) => new Map(Object.entries(entries));

  test('are told with the closest name, and what is transposed', () => {
    const wanted = shapes({ 'norm.weight': [4], 'fc.weight': [2, 3], 'fc.bias': [2] });
    const given = shapes({ 'nrom.weight': [4], 'fc.weight': [3, 2], 'fc.bias': [3], other: [1] });
    const difference = compareShapes(wanted, given);
    const error = differenceError('the tensors do not fit', difference);
    assert.equal(error.code, 'MGLMM_CHECKPOINT');
    assert.deepEqual([error.missing, error.unexpected], [['norm.weight'], ['nrom.weight', 'other']]);
    assert.equal(
      error.message,
      [
        'the tensors do not fit:',
        '  missing: norm.weight, but there is nrom.weight',
        '  unexpected: nrom.weight',
        '  unexpected: other',
        '  misshapen: fc.weight is [3, 2], expected [2, 3]: it is transposed',
        '  misshapen: fc.bias is [3], expected [2]',
      ].join('\n'),
    );
  });

  test('of hundreds of names are told in a few lines, at once', () => {
    const names = (prefix: string) =>
      new Map(Array.from({ length: 1000 }, (_, i) => [`${prefix}.layers.${i}.self_attn.q_proj.weight`, [1]]));
    const began = performance.now();
    const error = differenceError('x', compareShapes(names('model'), names('language_model.model')));
    assert.ok(performance.now() - began < 2000);
    assert.equal(error.message.split('\n').length, 1 + 13 + 13);
    assert.match(
      error.message,
      /missing: model.layers.0.self_attn.q_proj.weight, but there is language_model.model.layers.0.self_attn.q_proj.weight\n/,
    );
    assert.match(error.message, /missing: 988 more/);
  });
});
