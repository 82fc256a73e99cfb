/** A checkpoint of Segment Anything alone, as programs use it. */
import { ArgumentError, CheckpointError } from '../errors';
import { configsOf } from '../models/model_configs';
import { modelParts } from '../models/model_parts';
import { Sam } from '../models/sam/model';
import type { Device } from '../native';
import { chosenDevice, onDevice } from '../tensor/device';
import { openModelFolder } from '../weights/model_folder';
import { EncodedImage, type ImageInput, pictureOf } from './encoded_image';
import { Lifetime } from './lifetime';
import type { LoadOptions } from './load_options';
import { defaultCacheBytes, defaultDtype, expectLoadOptions, expectWhole, loadWeights } from './load_weights';
import { leaseMaskSource } from './mask_source';
import { ProgressTeller } from './progress_teller';
import { expectRequest, imageChecks } from './request';
import { type SegmentedObject, type SegmentRequest, segment, segmentChecks } from './segmenting';
import { SharedCache } from './shared_cache';

export type SegmentAnythingOptions = Pick<LoadOptions, 'device' | 'dtype' | 'cacheBytes' | 'onProgress' | 'logger' | 'signal'>;

export class SegmentAnything implements AsyncDisposable {
  readonly #sam: Sam;
  readonly #cache: SharedCache;
  readonly #lifetime = new Lifetime('the model');

  private constructor(sam: Sam, cache: SharedCache) {
    this.#sam = sam;
    this.#cache = cache;
  }

  /**
   * @param path - a file such as sam_vit_h_4b8939.pth, or a folder.
   * @throws as `Mglmm.load`.
   */
  static async load(path: string, options: SegmentAnythingOptions = {}): Promise<SegmentAnything> {
    expectLoadOptions(path, options);
    return onDevice(chosenDevice(options.device), () => SegmentAnything.#open(path, options));
  }

  static async #open(path: string, options: SegmentAnythingOptions): Promise<SegmentAnything> {
    const progress = new ProgressTeller(options.onProgress);
    progress.tell('open', 0, 0, path);
    const folder = await openModelFolder(path);
    const { family } = folder;
    if (family !== 'sam')
      throw new CheckpointError(`${path} holds a ${family}, expected Segment Anything alone; others open with Mglmm.load`);
    const parts = modelParts(folder);
    expectWhole(folder, parts);
    for (const guess of parts.guesses) options.logger?.warn(`${path}: ${guess}`);
    const { sam: config } = configsOf(folder);
    if (!config) throw new CheckpointError(`${path} does not tell the sizes of the model`);
    const { signal, logger, dtype = defaultDtype(folder) } = options;
    if (dtype === 'int8' || dtype === 'int4') throw new ArgumentError(`load: dtype is ${dtype}, expected one of f32, bf16, f16`);
    const sam = new Sam(config, { dtype });
    await loadWeights(sam, folder, parts, { dtype, progress, signal, logger });
    return new SegmentAnything(sam, new SharedCache(options.cacheBytes ?? defaultCacheBytes));
  }

  /** Where it computes. */
  get device(): Device {
    return this.#sam.device;
  }

  /** Masks for points, boxes and earlier masks: an entry for each object that is meant. @throws ArgumentError, ImageError, AbortedError. */
  async segmentAnything(request: SegmentRequest): Promise<SegmentedObject[]> {
    expectRequest('segmentAnything', request, segmentChecks);
    return this.#lifetime.during(this.device, async () =>
      segment(this.#sam, this.#cache, await pictureOf(this, request.image, request.signal), request),
    );
  }

  /** Reads an image for requests to come, and keeps what it read until it is disposed. */
  async encodeImage(image: ImageInput, options: { signal?: AbortSignal } = {}): Promise<EncodedImage> {
    expectRequest('encodeImage', { image, ...options }, imageChecks);
    return this.#lifetime.during(this.device, async () => {
      const picture = await pictureOf(this, image, options.signal);
      return EncodedImage.holding(this, picture, [leaseMaskSource(this.#sam, this.#cache, picture, options.signal)]);
    });
  }

  /** Waits for what runs, then frees all. What is asked afterwards is a DisposedError. */
  dispose(): Promise<void> {
    return this.#lifetime.end(() => {
      this.#cache[Symbol.dispose]();
      this.#sam.dispose();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }
}
