/** Valid calls of native ops, as plain data: what the fuzz test varies. Recorded while goldens and examples run. */
import { type Dtype, Tensor } from '../../lib';
import { ops } from '../../lib/autograd/run';

export interface TensorShape {
  shape: readonly number[];
  dtype: Dtype;
  packed: boolean;
}

/** The fields of one call: tensors by shape, all else as it was. */
export interface RecordedCall {
  op: string;
  fields: Record<string, { tensor: TensorShape } | { list: TensorShape[] } | { plain: unknown }>;
}

const shapeOf = ({ shape, dtype, layout }: Tensor): TensorShape => ({ shape, dtype, packed: layout === 'packed' });

/** Runs `body` and gives every distinct native call it made, of tensors with at most `most` elements. */
export async function recordCalls(body: () => Promise<void>, most = 4096): Promise<RecordedCall[]> {
  const calls = new Map<string, RecordedCall>();
  const originals = { ...ops };
  for (const [op, original] of Object.entries(originals)) {
    ops[op] = (fields, wanted) => {
      const recorded: RecordedCall = { op, fields: {} };
      let small = true;
      for (const [name, value] of Object.entries(fields)) {
        const tensors =
          value instanceof Tensor ? [value] : Array.isArray(value) ? value.filter((one): one is Tensor => one instanceof Tensor) : [];
        small &&= tensors.every(({ count }) => count <= most);
        recorded.fields[name] =
          value instanceof Tensor ? { tensor: shapeOf(value) } : tensors.length > 0 ? { list: tensors.map(shapeOf) } : { plain: value };
      }
      if (small) calls.set(JSON.stringify(recorded), recorded);
      return original(fields, wanted);
    };
  }
  try {
    await body();
  } finally {
    Object.assign(ops, originals);
  }
  return [...calls.values()];
}
