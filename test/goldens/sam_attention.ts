import { bilinear, linear, reshape, samAttentionPacked, type Tensor } from '../../lib';
import type { Golden } from '../support/golden';

/** A table of relative positions for `size` places, resized along its length alone where it has another. */
function tableFor(size: number, table: Tensor): Tensor {
  const [length, dim] = table.shape as [number, number];
  if (length === 2 * size - 1) return table;
  return reshape(bilinear(reshape(table, [1, 1, length, dim]), 2 * size - 1, dim), [2 * size - 1, dim]);
}

export const golden: Golden = (given, parameters) => {
  const { height, width, heads, window } = parameters as unknown as Record<'height' | 'width' | 'heads' | 'window', number>;
  const qkv = linear(given.x!, given.qkv_weight!, given.qkv_bias!);
  const [batch, , , size] = qkv.shape as [number, number, number, number];
  const y = samAttentionPacked(
    reshape(qkv, [batch, height * width, size]),
    tableFor(window || height, given.rel_pos_h!),
    tableFor(window || width, given.rel_pos_w!),
    { heads, height, width, ...(window > 0 ? { window, padding: given.qkv_bias! } : {}) },
  );
  return { out: linear(reshape(y, [batch, height, width, size / 3]), given.proj_weight!, given.proj_bias!) };
};
