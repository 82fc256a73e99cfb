/**
 * Files that `torch.save` wrote of a dict of tensors: a zip archive of one pickle and an entry a storage (PyTorch 1.6 and
 * later), or five pickles in a row and then the storages (before). Nothing of the values is read.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { CheckpointUnsafeError } from '../../errors';
import { refuse } from '../refuse';
import { itemBytes, type StoredTensor } from '../stored';
import { MalformedPickle } from './globals';
import { readLegacy } from './legacy';
import { UnexpectedEnd, unpickle } from './unpickle';
import { Dict, describe, type Storage, type Value, View } from './values';
import { Zip } from './zip';

/** The pickle of a 13B model has 0.2 MB. */
const MAX_PICKLE_BYTES = 256 * 1024 * 1024;
/** Where training programs put the weights, when they save more than these. */
const wrappers = ['state_dict', 'model_state_dict', 'module', 'model'];

/**
 * The tensors of a PyTorch file.
 * @throws CheckpointFormatError for a damaged file; CheckpointUnsafeError for one that asks for code, of which nothing is run.
 */
export async function readTorchFile(path: string): Promise<readonly StoredTensor[]> {
  const file = await open(path);
  try {
    const start = Buffer.alloc(4);
    const { bytesRead } = await file.read(start, 0, 4, 0);
    if (bytesRead === 0) refuse(path, 'is empty');
    if (start.toString('latin1') === 'PK\x03\x04') return await readZipped(file, path);
    if (start[0] === 0x80) {
      const { value, offsetOf } = await readLegacy(file, path);
      return storedTensors(value, path, offsetOf);
    }
    return refuse(path, 'is no PyTorch file: it begins neither as a zip archive nor as a pickle');
  } catch (error) {
    if (error instanceof UnexpectedEnd) refuse(path, 'has a pickle that ends in the middle; the file may be cut off', error);
    if (error instanceof MalformedPickle) refuse(path, error.message, error);
    if (error instanceof CheckpointUnsafeError) throw new CheckpointUnsafeError(`${path}: ${error.message}`, { cause: error });
    throw error;
  } finally {
    await file.close();
  }
}

async function readZipped(file: FileHandle, path: string): Promise<StoredTensor[]> {
  const zip = await Zip.open(file, path);
  const pickles = [...zip.entries.keys()].filter((name) => /^[^/]*\/data\.pkl$/.test(name));
  if (pickles.length !== 1) refuse(path, `has ${pickles.length} entries data.pkl, expected one as torch.save writes`);
  const pickle = zip.entries.get(pickles[0] as string);
  const folder = (pickles[0] as string).slice(0, -'data.pkl'.length);
  if (pickle === undefined || pickle.bytes > MAX_PICKLE_BYTES) refuse(path, `has a pickle of more than ${MAX_PICKLE_BYTES} bytes`);
  const order = zip.entries.get(`${folder}byteorder`);
  if (order && (await zip.read(order)).toString('latin1') !== 'little') refuse(path, 'was written on a big-endian machine');
  const { value } = await unpickle(await zip.read(pickle));
  return storedTensors(value, path, async ({ key, dtype, count, begin }) => {
    const entry = zip.entries.get(`${folder}data/${key}`);
    if (entry === undefined) return refuse(path, `has no entry data/${key}, which its pickle refers to`);
    const bytes = (begin + count) * itemBytes[dtype];
    if (entry.bytes !== bytes) refuse(path, `has ${entry.bytes} bytes in data/${key}, expected ${bytes}`);
    return zip.offsetOf(entry);
  });
}

/** The tensors of the dict that was saved; `offsetOf` a storage is its place in the file, in bytes. */
async function storedTensors(value: Value, path: string, offsetOf: (storage: Storage) => Promise<number>): Promise<StoredTensor[]> {
  const offsets = new Map<string, number>();
  const tensors: StoredTensor[] = [];
  for (const [name, view] of namedViews(value, path)) {
    const { storage, shape, strides } = view;
    const known = `${storage.key} ${storage.begin} ${storage.count} ${storage.dtype}`;
    const start = offsets.get(known) ?? (await offsetOf(storage));
    offsets.set(known, start);
    const item = itemBytes[storage.dtype];
    const bytes = item * shape.reduce((product, size) => product * size, 1);
    const stored = { name, shape, dtype: storage.dtype, file: path, offset: start + item * (storage.begin + view.offset), bytes };
    tensors.push(inRows(shape, strides) ? stored : { ...stored, strides });
  }
  return tensors;
}

function inRows(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return shape.includes(0);
    step *= shape[axis] as number;
  }
  return true;
}

function namedViews(value: Value, path: string): [string, View][] {
  if (!(value instanceof Dict)) refuse(path, `holds ${describe(value)}, expected a dict of tensors`);
  const of = (dict: Dict) => [...dict].filter((pair): pair is [string, View] => typeof pair[0] === 'string' && pair[1] instanceof View);
  const named = of(value);
  if (named.length > 0) return named;
  for (const wrapper of wrappers) {
    const inner = value.get(wrapper);
    if (inner instanceof Dict && of(inner).length > 0) return of(inner);
  }
  if (value.size === 0) return [];
  return refuse(path, `holds a dict without tensors, expected name -> tensor, alone or under ${wrappers.join(', ')}`);
}
