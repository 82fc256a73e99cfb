/** What training holds in memory, by kind: what `estimateMemory` said before it began. */
import { memory } from '../tensor/create';
import { bytesOf, type MemoryEstimate } from './memory_estimate';
import type { Trainer } from './trainer';

/** In bytes. */
export type TrainingMemory = Pick<MemoryEstimate, 'weights' | 'gradients' | 'optimizer' | 'activations' | 'cache'>;

/**
 * Between two steps. Activations are the most that tensors of the process held on the model's device since `resetPeak()`, above what they hold now, without
 * the gradients of parameters.
 */
export function trainingMemory({ model, optimizer, cache }: Trainer): TrainingMemory {
  const states = [...optimizer.state.values()].flatMap(({ expAvg, expAvgSq, master }) => [expAvg, expAvgSq, ...(master ? [master] : [])]);
  const gradients = bytesOf([...optimizer.parameters.values()]);
  const { peakBytes, liveBytes } = memory(model.device);
  return {
    weights: bytesOf(model.parameters()),
    gradients,
    optimizer: bytesOf(states),
    activations: Math.max(0, peakBytes - liveBytes - gradients),
    cache: cache.bytes,
  };
}
