/** A thread that decodes samples, one after another, for lib/data/decode_pool.ts. It ends when it is sent `end`. */
import { parentPort } from 'node:worker_threads';
import { type DecodeRequest, type DecodeResult, decodeSample } from './decode_sample';

export type WorkerAnswer = DecodeResult | { readonly error: string };

const port = parentPort;
let work = Promise.resolve();
port?.on('message', (request: DecodeRequest | 'end') => {
  work = work.then(async () => {
    if (request === 'end') return port.close();
    const { result, moved } = await answer(request);
    port.postMessage(result, moved);
  });
});

async function answer(request: DecodeRequest): Promise<{ result: WorkerAnswer; moved: ArrayBuffer[] }> {
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
