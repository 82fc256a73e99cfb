/** A thread that decodes samples for lib/data/decode_pool.ts. It ends when it is sent `end`, after what it has begun. */
import { parentPort } from 'node:worker_threads';
import { type DecodeRequest, type DecodeResult, decodeSample } from './decode_sample';

export interface WorkerTask {
  readonly id: number;
  readonly request: DecodeRequest;
}

export interface WorkerAnswer {
  readonly id: number;
  readonly result: DecodeResult | { readonly error: string };
}

const port = parentPort;
const underWay = new Set<Promise<void>>();
port?.on('message', (task: WorkerTask | 'end') => {
  if (task === 'end') {
    void Promise.all(underWay).then(() => port.close());
    return;
  }
  const work = answer(task.request).then(({ result, moved }) => {
    port.postMessage({ id: task.id, result } satisfies WorkerAnswer, moved);
    underWay.delete(work);
  });
  underWay.add(work);
});

async function answer(request: DecodeRequest): Promise<{ result: WorkerAnswer['result']; moved: ArrayBuffer[] }> {
  try {
    const result = await decodeSample(request);
    if (!('decoded' in result)) return { result, moved: [] };
    const { image, masks } = result.decoded;
    const moved = masks.map(({ buffer }) => buffer);
    if (!image) return { result, moved };
    // sharp's memory is its own and cannot be handed over.
    const data = new Uint8Array(image.data);
    return { result: { decoded: { image: { ...image, data }, masks } }, moved: [data.buffer, ...moved] };
  } catch (error) {
    return { result: { error: (error as Error).message }, moved: [] };
  }
}
