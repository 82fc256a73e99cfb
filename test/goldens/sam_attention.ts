import { bilinear, linear, reshape, samAttentionPacked, type Tensor, windowPartition, windowUnpartition } from '../../lib';
import type { Golden } from '../support/golden';

/** A table of relative positions for `size` places, resized along its length alone where it has another. */
function tableFor(size: number, table: Tensor): Tensor {
  const [length, dim] = table.shape as [number, number];
  if (length === 2 * size - 1) return table;
  return reshape(bilinear(reshape(table, [1, 1, length, dim]), 2 * size - 1, dim), [2 * size - 1, dim]);
}

export const golden: Golden = (given, parameters) => {
  const { height, width, heads, window } = parameters as unknown as Record<'height' | 'width' | 'heads' | 'window', number>;
  const whole = linear(given.x!, given.qkv_weight!, given.qkv_bias!);
  const qkv = window > 0 ? windowPartition(whole, window, given.qkv_bias!) : whole;
  const [batch, mapHeight, mapWidth, size] = qkv.shape as [number, number, number, number];
  const packed = reshape(qkv, [batch, mapHeight * mapWidth, size]);
  const y = samAttentionPacked(packed, tableFor(mapHeight, given.rel_pos_h!), tableFor(mapWidth, given.rel_pos_w!), {
    heads,
    height: mapHeight,
    width: mapWidth,
  });
  const out = reshape(linear(y, given.proj_weight!, given.proj_bias!), [batch, mapHeight, mapWidth, size / 3]);
  return { out: window > 0 ? windowUnpartition(out, height, width) : out };
};
