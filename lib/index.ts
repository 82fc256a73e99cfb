/** The public API and nothing more. */
export { backward } from './autograd/graph';
export { recompute } from './autograd/recompute';
export { CocoPanopticDataset, type CocoPanopticOptions } from './data/datasets/coco_panoptic';
export { MgscDataset, type MgscOptions } from './data/datasets/mgsc';
export { EachOnce } from './data/each_once';
export { JsonlDataset, type JsonlOptions, writeJsonl } from './data/jsonl';
export { type Batch, type BatchSource, Loader, type LoaderOptions } from './data/loader';
export { type Draw, type Draws, Mixture, type MixturePart } from './data/mixture';
export { type Dataset, faultsOf, type Sample, type SamplePlace, type SampleTurn, type SceneImage } from './data/sample';
export { type SceneKey, type SplitName, splitNames } from './data/scenes/key';
export { type PixelClasses, pixelClasses, pixelClassNames } from './data/scenes/pixel_classes';
export { type Extent, makeScene, Scene, type ScenePart, type SceneRegion, type SceneThing } from './data/scenes/scene';
export { SceneDataset, type SceneDatasetOptions, sceneSample } from './data/scenes/scene_dataset';
export { type TaskName, taskNames } from './data/scenes/tasks';
export * from './errors';
export type { Answering } from './eval/ask';
export { type PageOptions, writePage } from './eval/page';
export { type AnsweredSegment, type AnsweredTurn, type EvaluationSettings, readRecords, type SampleRecord } from './eval/record';
export { type EvaluationOptions, type EvaluationProgress, type ModelToAsk, runEvaluation } from './eval/run';
export { sceneCategories, sceneSimilarity } from './eval/scene_phrases';
export type { Category, ScoringOptions } from './eval/scorers';
export { type EvaluationScores, scoresOf, type TaskScores } from './eval/scores';
export { generate } from './generate/generate';
export type {
  FinishReason,
  GeneratedToken,
  GenerateEvent,
  GenerateOptions,
  GeneratePrompt,
  PromptRead,
  SamplingOptions,
  TokenConstraint,
  TokenSet,
} from './generate/options';
export { stopAtStrings, type TextStream } from './generate/stop_strings';
export { maskColor } from './image/colors';
export { type DecodeOptions, decodeImage, type ImageSource, type RgbImage } from './image/decode';
export { maskPng } from './image/mask_png';
export { polygonsFromRle } from './image/outlines';
export { drawOverlay, type OverlayMask, type OverlayOptions } from './image/overlay';
export { type MaskPolygon, type Ring, rleFromPolygons } from './image/polygons';
export {
  type Box,
  boxIou,
  compressRuns,
  emptyRle,
  expandRuns,
  mergeRles,
  parseRleAnnotation,
  type Rle,
  rleArea,
  rleBox,
  rleFromRuns,
  rleIntersection,
  rleIou,
  subtractRle,
} from './image/rle';
export type { Answer, AnswerEvent, GroundedPhrase, Timings, Usage } from './inference/answer';
export { Chat, type ChatTurn } from './inference/chat';
export { defaultModel } from './inference/default_model';
export { EncodedImage, type ImageInput } from './inference/encoded_image';
export { type AnswerStream, EventStream } from './inference/event_stream';
export type { ExploredNode, ExploreOptions } from './inference/explore';
export type { LoadOptions, Logger, ModelDtype, ModelProgress } from './inference/load_options';
export { Mglmm } from './inference/mglmm';
export type { AnswerOptions, AnswerRequest, ChatOptions, ImageQuestion } from './inference/request';
export { SegmentAnything, type SegmentAnythingOptions } from './inference/segment_anything';
export type { PixelBox, PixelPoint, SegmentedMask, SegmentedObject, SegmentRequest } from './inference/segmenting';
export { decodeMasks, encodeMasks } from './masks/encode_masks';
export { Mask, type ReadMasksOptions, readMasks } from './masks/mask';
export {
  type AveragePrecision,
  averagePrecision,
  type DetectedMask,
  type DetectionImage,
  MaskAveragePrecision,
  type TrueMask,
} from './metrics/average_precision';
export { captionTokenizer, captionTokens } from './metrics/caption_tokens';
export { type CaptionedImage, type CiderScores, ciderD } from './metrics/cider';
export { type GresSample, type GresScores, gresScores } from './metrics/gres';
export { greedyPairs, pairedMiou, type RecallOptions, recalled, strictMiou } from './metrics/grounding';
export { ciou, giou, type Overlap, overlapIou, overlapOf, precisionAt, united } from './metrics/overlap';
export {
  byCategory,
  type CategorySegment,
  type PanopticImage,
  PanopticQuality,
  type PanopticScores,
  painted,
  type Quality,
  SemanticMiou,
  type SemanticScores,
} from './metrics/panoptic';
export { isExactMatch, type PhraseSimilarity, sharedWords } from './metrics/texts';
export { type ClipConfig, clipPresets, inferClipConfig, isUnusedClipKey, parseClipConfig } from './models/clip/config';
export { clipInput } from './models/clip/input';
export { Clip } from './models/clip/model';
export { imageTensor } from './models/image_tensor';
export { inferLlamaConfig, type LlamaConfig, parseLlamaConfig } from './models/llama/config';
export { type CacheOptions, KeyValueCache } from './models/llama/key_value_cache';
export { LlamaForCausalLM, type LlamaForwardOptions, LlamaModel, type ModelOptions } from './models/llama/model';
export { imageTokens, inferMglmmConfig, type MglmmConfig, type MglmmSources, parseMglmmConfig } from './models/mglmm/config';
export { MglmmForCausalLM, MglmmModel } from './models/mglmm/model';
export { embedWithImages, imageTokenId, labelsWithImage, predictingPlaces } from './models/mglmm/splice';
export { type TrainingBatch, type TrainingForward, teacherForcing } from './models/mglmm/teacher_forcing';
export { configsOf, type ModelConfigs, mglmmConfigOf } from './models/model_configs';
export { type ModelParts, modelParts } from './models/model_parts';
export { inferSamConfig, parseSamConfig, type SamConfig, samPresets } from './models/sam/config';
export { type Placement, placementOf, samInput } from './models/sam/input';
export type { SamMasks } from './models/sam/mask_decoder/model';
export { Sam } from './models/sam/model';
export type { SamBox, SamPoint, SamPrompts } from './models/sam/prompt_encoder';
export type { Device, Dtype, MemoryFigures, ReadArray, TypedArray } from './native';
export * as nn from './nn';
export { type AdamwOptions, adamw } from './ops/adamw';
export { add } from './ops/add';
export { argmax } from './ops/argmax';
export { type AttentionOptions, attention } from './ops/attention';
export { type AttentionCachedOptions, attentionCached } from './ops/attention_cached';
export { bilinear } from './ops/bilinear';
export { cast } from './ops/cast';
export { clipGradients } from './ops/clip_gradients';
export { concat } from './ops/concat';
export { convTranspose2d } from './ops/conv_transpose2d';
export { type Conv2dOptions, conv2d } from './ops/conv2d';
export { copy } from './ops/copy';
export { copyInto } from './ops/copy_into';
export { type CrossEntropyOptions, crossEntropy } from './ops/cross_entropy';
export { dropout } from './ops/dropout';
export { embedding } from './ops/embedding';
export { full, ones, zeros } from './ops/fill';
export { fourierEncoding } from './ops/fourier_encoding';
export { gatherRows } from './ops/gather_rows';
export { gelu } from './ops/gelu';
export { gradNorm } from './ops/grad_norm';
export { layerNorm } from './ops/layer_norm';
export { layerNorm2d } from './ops/layer_norm_2d';
export { linear } from './ops/linear';
export { linearCrossEntropy } from './ops/linear_cross_entropy';
export { addLoraByRow, type LoraByRow, type LoraLinearOptions, loraLinear, mergeLora } from './ops/lora_linear';
export { type MaskBitsOptions, type MaskPlacement, maskBits } from './ops/mask_bits';
export { maskIntersections } from './ops/mask_intersections';
export { type MaskLossOptions, maskLoss } from './ops/mask_loss';
export { type MatmulOptions, matmul } from './ops/matmul';
export { mul } from './ops/mul';
export { pack, unpack } from './ops/pack';
export { packBits } from './ops/pack_bits';
export { permute } from './ops/permute';
export { type PreprocessImageOptions, preprocessImage } from './ops/preprocess_image';
export { dequantize, type QuantizedWeight, quantize } from './ops/quantize';
export { quantizedLinear } from './ops/quantized_linear';
export { quickGelu } from './ops/quick_gelu';
export { type RandomNormalOptions, randomNormal } from './ops/random_normal';
export { type RandomUniformOptions, randomUniform } from './ops/random_uniform';
export { relu } from './ops/relu';
export { reshape } from './ops/reshape';
export { type RleDecodeOptions, rleDecode } from './ops/rle_decode';
export { type RleEncodeOptions, rleEncode } from './ops/rle_encode';
export { addRmsNorm, rmsNorm } from './ops/rms_norm';
export { type RopeOptions, rope } from './ops/rope';
export { rowsView } from './ops/rows_view';
export { type SamAttentionOptions, type SamAttentionPackedOptions, samAttention, samAttentionPacked } from './ops/sam_attention';
export { type SampleTokenOptions, sampleToken } from './ops/sample_token';
export { scale } from './ops/scale';
export { slice } from './ops/slice';
export { softmax } from './ops/softmax';
export { spliceRows } from './ops/splice_rows';
export { mean, type SumOptions, sum } from './ops/sum';
export { swiglu } from './ops/swiglu';
export { toDevice } from './ops/to_device';
export { topK } from './ops/top_k';
export { type UpscaleWeights, upscaleMasks } from './ops/upscale_masks';
export { windowPartition, windowUnpartition } from './ops/window_partition';
export { abortable } from './tensor/abort';
export { noGradients } from './tensor/ambient';
export {
  backendName,
  empty,
  enqueueUpload,
  mapFile,
  memory,
  resetPeak,
  setMemoryLimit,
  synchronize,
  tensor,
  trimMemory,
  upload,
} from './tensor/create';
export { cudaProblem, devices, onDevice, setDefaultDevice, setFloat32MatmulPrecision } from './tensor/device';
export { Program } from './tensor/program';
export { Scope, tidy } from './tensor/scope';
export { setDebug, Tensor } from './tensor/tensor';
export {
  buildSegCap,
  parseSegCap,
  parseSegCapIds,
  type Repair,
  type RepairKind,
  type SegCap,
  type Segment,
  type Span,
} from './text/segcap';
export { type EncodeOptions, loadTokenizer, type TextPart, type Tokenizer } from './text/tokenizer';
export { trainSentencePiece, writeTokenizer } from './text/train_sentence_piece';
export { type ConfigField, configFields, parseConfig, readConfig, type TrainConfig } from './train/config';
export { type Evaluation, evaluate } from './train/evaluate';
export { EventFile } from './train/event_file';
export { type Example, type ExampleOptions, exampleOf, type Speech } from './train/example';
export { type EstimateOptions, estimateMemory, type MemoryEstimate } from './train/memory_estimate';
export { type TrainingMemory, trainingMemory } from './train/memory_report';
export { type Objective, type ObjectiveInputs, type ObjectiveWeights, objective } from './train/objective';
export { addLora, type LoraChoice, type ModelChoice, type OpenedModel, openModel } from './train/open_model';
export { AdamW, type AdamWOptions, type AdamWState } from './train/optimizer';
export { type RunEvent, type RunOptions, type RunResult, runTraining } from './train/run';
export { asDeepSpeed, type Schedule, type ScheduleOptions, warmupCosine, warmupDecay } from './train/schedule';
export { findSnapshot, restoreSnapshot, type SnapshotState, saveSnapshot, verifySnapshot } from './train/snapshot';
export { prepareModel, type TrainOptions, type TrainResult, train } from './train/train';
export { chooseTrainable, type TrainableSet, trainableSets } from './train/trainable';
export { type StepReport, Trainer, type TrainerOptions, type TrainerState, type TrainingCounts } from './train/trainer';
export { type AdapterToWrite, type LoadedAdapter, loadAdapter, writeAdapter } from './weights/adapter';
export type { Checkpoint } from './weights/checkpoint';
export { clipPrefix, type Family, type Layout, layoutOf, type Part, partOf, samPrefix, under } from './weights/layouts';
export { type LoadModuleOptions, type LoadProgress, type LoadReport, loadModule } from './weights/load_module';
export type { Manifest } from './weights/manifest';
export { type ModelFolder, type ModelFolderOptions, type ModelSource, openModelFolder } from './weights/model_folder';
export { openCheckpoint } from './weights/open_checkpoint';
export type { Source } from './weights/sources';
export type { StoredDtype, StoredTensor } from './weights/stored';
