/** For each element of a tensor of shape `larger`, the index of the element of `smaller` that is broadcast to it. */
export function broadcastIndex(larger: readonly number[], smaller: readonly number[]): number[] {
  const missing = larger.length - smaller.length;
  const count = larger.reduce((product, size) => product * size, 1);
  return Array.from({ length: count }, (_, index) => {
    let rest = index;
    let place = 0;
    let stride = 1;
    for (let axis = larger.length - 1; axis >= missing; axis--) {
      const size = smaller[axis - missing] as number;
      const along = rest % (larger[axis] as number);
      rest = Math.floor(rest / (larger[axis] as number));
      if (size > 1) place += along * stride;
      stride *= size;
    }
    return place;
  });
}
