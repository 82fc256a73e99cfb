import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { MalformedPickle } from '../../../lib/weights/torch_pickle/globals';
import { UnexpectedEnd, unpickle } from '../../../lib/weights/torch_pickle/unpickle';
import { Dict, Tuple, type Value } from '../../../lib/weights/torch_pickle/values';
import { global, type Picklable, pickleOf } from '../../support/pickle';

const parse = async (text: string): Promise<Value> => (await unpickle(Buffer.from(text, 'latin1'))).value;

/** What `pickleOf` was given, of what was read. */
function plain(value: Value): unknown {
  if (value instanceof Tuple) return { tuple: value.items.map(plain) };
  if (value instanceof Dict) return { dict: [...value].map((pair) => pair.map(plain)) };
  return Array.isArray(value) ? value.map(plain) : value;
}

describe('unpickle', () => {
  test('reads what it is given, whatever the nesting', async () => {
    const { value: anything } = fc.letrec<{ value: Picklable }>((tie) => ({
      value: fc.oneof(
        { depthSize: 'small' },
        fc.constant(null),
        fc.boolean(),
        fc.string({ unit: 'grapheme' }),
        fc.integer(),
        fc.double({ noNaN: true }).filter((one) => !Object.is(one, -0)),
        fc.array(tie('value'), { maxLength: 5 }),
        fc.array(tie('value'), { maxLength: 5 }).map((tuple) => ({ tuple })),
        fc.uniqueArray(fc.tuple(fc.string(), tie('value')), { maxLength: 5, selector: ([key]) => key }).map((dict) => ({ dict })),
      ),
    }));
    await fc.assert(
      fc.asyncProperty(anything, async (value) => {
        const bytes = pickleOf(value);
        const { value: read, end } = await unpickle(bytes);
        assert.deepEqual(plain(read), value);
        assert.equal(end, bytes.length);
      }),
    );
  });

  test('reads every spelling of numbers, text and names', async () => {
    assert.equal(await parse('K\x07.'), 7);
    assert.equal(await parse('M\x01\x02.'), 513);
    assert.equal(await parse('\x8a\x02\xff\x00.'), 255);
    assert.equal(await parse('\x8a\x01\xff.'), -1);
    assert.equal(await parse('\x8a\x00.'), 0);
    assert.equal(await parse('\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01.'), 2n ** 64n);
    assert.equal(await parse('I-12\n.'), -12);
    assert.equal(await parse('I01\n.'), true);
    assert.equal(await parse('L12L\n.'), 12);
    assert.equal(await parse('\x8c\x02hi.'), 'hi');
    assert.equal(await parse('U\x02hi.'), 'hi');
    assert.deepEqual(await parse('C\x02hi.'), Buffer.from('hi'));
    assert.deepEqual(plain(await parse('\x80\x04\x8c\x0bcollections\x8c\x0bOrderedDict\x93)R.')), { dict: [] });
  });

  test('shares what the memo holds', async () => {
    assert.deepEqual(await parse(']q\x00h\x00\x86.').then(plain), { tuple: [[], []] });
    const tuple = (await parse(']\x94h\x00\x86.')) as Tuple;
    assert.equal(tuple.items[0], tuple.items[1]);
  });

  test('builds ordered dicts, and passes their attributes over', async () => {
    const pickle = 'ccollections\nOrderedDict\n](X\x01\x00\x00\x00aK\x01\x86e\x85R}X\x09\x00\x00\x00_metadataNsb.';
    assert.deepEqual(plain(await parse(pickle)), { dict: [['a', 1]] });
  });

  test('calls nothing that is not of weights', async () => {
    for (const [module, name] of [
      ['os', 'system'],
      ['builtins', 'eval'],
      ['torch', 'load'],
      ['collections', 'namedtuple'],
      ['torch._utils', '_rebuild_tensor_v2.__globals__'],
    ] as const) {
      const pickle = Buffer.concat([global(module, name), Buffer.from('(X\x01\x00\x00\x00xtR.')]);
      await assert.rejects(unpickle(pickle), {
        code: 'MGLMM_CHECKPOINT_UNSAFE',
        message: `asks for ${module}.${name}, which is no part of weights; nothing was run. Where it comes from, save its tensors alone`,
      });
    }
  });

  test('lets the event loop run between opcodes', async () => {
    let turns = 0;
    const count = setInterval(() => turns++, 0);
    await unpickle(Buffer.from(`${'N0'.repeat(200_000)}N.`));
    clearInterval(count);
    assert.ok(turns > 3, `${turns} turns`);
  });

  const malformed: Readonly<Record<string, RegExp>> = {
    '.': /takes what is not there/,
    '0.': /takes what is not there/,
    't.': /back to a mark it never made/,
    'h\x05.': /refers to memo 5, which it never set/,
    'NNa.': /appends to None/,
    'N(K\x01K\x02u.': /sets 2 keys and values of None/,
    '}(K\x01u.': /sets 1 keys and values of a dict/,
    'N(N\x90.': /adds to None/,
    'NNR.': /calls None/,
    'ctorch\nFloatStorage\n)R.': /calls torch.FloatStorage/,
    'NNb.': /sets attributes of None/,
    'Ix\n.': /has "x" for an integer/,
    '\x80\x09.': /pickle protocol 9, expected at most 5/,
    '\x8b\x00\x01\x00\x00.': /an integer of 256 bytes/,
    'P1\n.': /the pickle opcode 0x50, which no weights use/,
    'NQ.': /has None as a persistent id, expected a tuple/,
    '(X\x07\x00\x00\x00storageNNNNtQ.': /refers to the string "storage" of None, expected a storage of a known type/,
    'ctorch._utils\n_rebuild_tensor_v2\n)R.': /has a tensor of nothing, expected of a storage/,
    'ctorch._utils\n_rebuild_parameter\n)R.': /has a parameter of nothing, expected of a tensor/,
    'ccollections\nOrderedDict\nK\x01\x85R.': /has the number 1 as an OrderedDict, expected a tuple/,
  };
  for (const [pickle, message] of Object.entries(malformed)) {
    test(`refuses ${JSON.stringify(pickle)}`, async () => {
      await assert.rejects(parse(pickle), (error: unknown) => error instanceof MalformedPickle && message.test(error.message));
    });
  }

  test('says where a pickle is cut off, wherever that is', async () => {
    const whole = pickleOf({ dict: [['name', [1, 2.5, { tuple: ['x'] }]]] });
    for (let length = 0; length < whole.length; length++) await assert.rejects(unpickle(whole.subarray(0, length)), UnexpectedEnd);
  });
});
