/** The bytes of a stored tensor for a file that is written: as they are, or in another dtype. */
import { open } from 'node:fs/promises';
import type { Dtype } from '../native';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { readDtype, readTensor } from './read_tensor';
import { refuse } from './refuse';
import { countOf, isFloating, itemBytes, type StoredDtype, type StoredTensor } from './stored';
import type { TensorToWrite } from './write_checkpoint';

/** Hashed in one go, which is JavaScript's thread: about a third of a millisecond. */
const PIECE_BYTES = 512 * 1024;
/** Elements that are cast at a time. */
const CAST_COUNT = 4 * 1024 * 1024;

/** `stored` under `key`; numbers with fractions become `dtype` where one is given. */
export function storedToWrite(key: string, stored: StoredTensor, dtype?: Dtype): TensorToWrite {
  // What is not in rows is put into rows by kernels, in a dtype that they have.
  const kept = stored.strides ? (readDtype(stored.dtype) ?? stored.dtype) : stored.dtype;
  const target: StoredDtype = isFloating(stored.dtype) ? (dtype ?? kept) : kept;
  const { shape } = stored;
  const count = countOf(shape);
  const asItIs = target === stored.dtype && !stored.strides;
  const pieces = () => (asItIs ? rawPieces(stored) : castPieces(stored, target));
  return { key, shape, dtype: target, bytes: count * itemBytes[target], pieces };
}

/** A tensor that is computed when its turn comes. */
export function computedToWrite(key: string, shape: readonly number[], dtype: Dtype, compute: () => Promise<Tensor>): TensorToWrite {
  async function* pieces() {
    yield* slices(await tidy(async () => bytesOf(await compute())));
  }
  return { key, shape, dtype, bytes: countOf(shape) * itemBytes[dtype], pieces };
}

async function* rawPieces({ file, name, offset, bytes }: StoredTensor): AsyncGenerator<Uint8Array> {
  const handle = await open(file);
  try {
    const buffer = Buffer.alloc(Math.min(PIECE_BYTES, bytes));
    for (let at = 0; at < bytes; ) {
      const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, bytes - at), offset + at);
      if (bytesRead === 0) refuse(file, `ends inside of ${name}`);
      yield buffer.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

async function* castPieces(stored: StoredTensor, target: StoredDtype): AsyncGenerator<Uint8Array> {
  const { name, file, offset, dtype, strides } = stored;
  const given = target === dtype ? readDtype(dtype) : (target as Dtype);
  if (strides) {
    yield* slices(await tidy(async () => bytesOf(await readTensor(stored, given))));
    return;
  }
  const [count, item] = [countOf(stored.shape), itemBytes[dtype]];
  for (let at = 0; at < count; at += CAST_COUNT) {
    const here = Math.min(CAST_COUNT, count - at);
    const part = { name, file, dtype, shape: [here], offset: offset + at * item, bytes: here * item };
    yield* slices(await tidy(async () => bytesOf(await readTensor(part, given))));
  }
}

async function bytesOf(tensor: Tensor): Promise<Uint8Array> {
  const { buffer, byteOffset, byteLength } = await tensor.readBits();
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}
