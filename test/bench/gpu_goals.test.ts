import { strict as assert } from 'node:assert';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { goalRows, gpuGoals } from '../../bench/gpu_goals';
import type { Case, Result } from '../../bench/harness';

const bench = join(__dirname, '../../bench');
const cases = ['ops', 'models'].flatMap((folder) =>
  readdirSync(join(bench, folder)).flatMap(
    (file) => [(require(join(bench, folder, file)) as { default: Case | Case[] | Case[][] }).default].flat(2) as Case[],
  ),
);
const withGoal = cases.filter(({ gpuGoal }) => gpuGoal !== undefined);

test('every case with a goal on a GPU counts for one, as strict as its own', () => {
  for (const one of withGoal) {
    const goals = gpuGoals.filter(({ cases }) => cases.test(one.name));
    assert.equal(goals.length, 1, one.name);
    const { gpuGoal } = one;
    assert.equal(goals[0]?.wanted, typeof gpuGoal === 'object' ? `${100 * gpuGoal.share} %` : `${gpuGoal}x`, one.name);
  }
  for (const { what, cases: names } of gpuGoals)
    assert.ok(
      withGoal.some(({ name }) => names.test(name)),
      what,
    );
});

test('each of the eleven has a row: met by all of its cases, MISSED, or not measured', () => {
  const result = (one: Case, ratio: number, met: boolean): Result => ({ name: one.name, goal: one.gpuGoal, ratio, met, failures: [] });
  const attention = withGoal.filter(({ name }) => /^attention .* of 128$/.test(name));
  assert.equal(attention.length, 3);
  const rows = goalRows(
    attention.map((one, i) => result(one, 1 - i / 10, i < 2)),
    { medianSeconds: 0.5, inTime: true },
  );
  assert.equal(rows.length, 11);
  assert.deepEqual([rows[0]?.figure, rows[0]?.verdict], ['0.80x', 'MISSED']);
  assert.deepEqual([rows[10]?.figure, rows[10]?.verdict], ['0.500 s', 'met']);
  assert.ok(rows.slice(1, 10).every(({ verdict }) => verdict === 'not measured'));
});
