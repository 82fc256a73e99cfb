/** The configuration of a run: a YAML file, every field of it described here and checked before anything is opened. */
import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, relative, resolve } from 'node:path';
import { z } from 'zod';
import { closest, given } from '../checks';
import { sceneSizes, splitNames } from '../data/scenes/key';
import { type TaskName, tasks } from '../data/scenes/tasks';
import { TrainingError } from '../errors';
import { type TemplateName, templates } from '../text/template';
import { defaultTargets, defaultWithin } from './open_model';
import { trainableSets } from './trainable';

const positive = z.int().positive();
const share = z.number().min(0).lt(1);
const weight = z.number().nonnegative();
const path = z.string().min(1);
const seed = z
  .int()
  .nonnegative()
  .max(2 ** 31 - 1);
const pattern = z.string().refine(isPattern, { error: ({ input }) => `${JSON.stringify(input)} is no regular expression` });
const names = <Name extends string>(object: Readonly<Record<Name, unknown>>) => Object.keys(object) as [Name, ...Name[]];

const model = z.strictObject({
  path: path.optional().describe('folder of the model that is trained further; a path, relative to this file'),
  sizes: z
    .record(z.string(), z.unknown())
    .optional()
    .describe('instead of path: sizes of a new model, in the fields of config.json: text_config, vision_config, segment_encoder_config'),
  clip: path.optional().describe('folder of the CLIP tower, where it is not with the model'),
  sam: path.optional().describe('file of Segment Anything, for a language model that has none'),
  tokenizer: path.optional().describe('folder of the tokenizer; default that of the model'),
  template: z.enum(names<TemplateName>(templates)).optional().describe('form of conversations; default that of the family'),
  dtype: z.enum(['f32', 'bf16']).default('bf16').describe('of weights and arithmetic; parameters that are trained have an f32 original'),
});

const lora = z.strictObject({
  rank: positive.default(8).describe('of the update'),
  alpha: z.number().default(16).describe('the update is scaled by alpha / rank'),
  dropout: share.default(0.05).describe('share of its inputs that the update does not see in training'),
  targets: z.array(z.string().min(1)).min(1).default(defaultTargets).describe('ends of the keys of linear layers that get it'),
  within: pattern.default(defaultWithin).describe('regular expression for the keys of layers that may; default the language model'),
});

const scenes = z.strictObject({
  split: z.enum(splitNames).describe('of the scenes: train never ends, unseen has pairs of colour and kind that the others never show'),
  seed: seed.default(1).describe('of the scenes'),
  size: z.int().min(sceneSizes[0]).max(sceneSizes[1]).default(256).describe('pixels of a side'),
  tasks: z
    .strictObject(
      Object.fromEntries(names(tasks).map((name) => [name, weight.optional().describe(`of samples of ${name}`)])) as Record<
        TaskName,
        z.ZodOptional<typeof weight>
      >,
    )
    .optional()
    .describe(
      'how often each is asked for, beside the others; default all the same but everything, details, looks, numbers and places, which are for learning alone',
    ),
  together: positive.default(1).describe('tasks of a sample, whose turns follow one another'),
  segcap: z.boolean().default(true).describe('whether each mask is announced by its phrase; false is for comparison'),
});

const mgsc = z.strictObject({
  annotations: path.describe('folder of its files, of each picture one'),
  images: path.describe('folder of the pictures'),
  split: path.optional().describe('file that names those of annotations that are meant, one a line; default all'),
});

const cocoPanoptic = z.strictObject({
  annotations: path.describe('the JSON file'),
  segments: path.describe('folder of pictures of segments'),
  images: path.describe('folder of the pictures'),
});

const dataset = z.strictObject({
  path: path.optional().describe('file of samples, JSONL; relative to this file'),
  scenes: scenes.optional().describe('instead of path: scenes that are made up, docs/scenes.md'),
  mgsc: mgsc.optional().describe('instead of path: MGSCData, docs/data.md'),
  cocoPanoptic: cocoPanoptic.optional().describe("instead of path: COCO's panoptic format, docs/data.md"),
  weight: weight.default(1).describe('how often it is drawn from, beside the others'),
});

const heldOut = dataset.omit({ weight: true });

const rates = z.strictObject({
  lr: z.number().positive().default(3e-4).describe('highest learning rate'),
  schedule: z.enum(['decay', 'cosine', 'constant']).default('decay').describe('after the warm-up: linear to 0, half a cosine, or as it is'),
  warmupSteps: z.int().nonnegative().default(100).describe('steps in which the rate rises from 0'),
  cooldownSteps: z
    .int()
    .nonnegative()
    .default(0)
    .describe('of the constant rate: last steps, in which it falls to minLr; steps may change while such a run goes on'),
  minLr: z.number().nonnegative().default(0).describe('where the cosine and the cooldown end'),
  deepspeed: z.boolean().default(false).describe("rates as DeepSpeed's engine uses them: the first step at lr, then one step behind"),
  betas: z.tuple([share, share]).default([0.9, 0.95]).describe('decay of the moments of the gradient'),
  eps: z.number().positive().default(1e-8).describe('added to the root of the second moment'),
  weightDecay: z.number().nonnegative().default(0).describe('decoupled from the gradient'),
  maxNorm: z.number().positive().default(1).describe('gradients are scaled so that their global norm is this at most'),
});
const optimizer = rates.refine(({ lr, minLr }) => minLr <= lr, {
  path: ['minLr'],
  error: ({ input }) => `is ${(input as Rates).minLr}, expected at most lr, ${(input as Rates).lr}`,
});
type Rates = z.infer<typeof rates>;

const loss = z.strictObject({
  ce: weight.default(1).describe('of the cross entropy of answers'),
  bce: weight.default(2).describe('of the binary cross entropy of masks'),
  dice: weight.default(0.5).describe('of the Dice loss of masks'),
  scenes: weight
    .default(0)
    .describe('of what patches of CLIP tell of made-up scenes (kind, colour, pattern, part, number, ends), by heads that are thrown away'),
  map: weight
    .default(0)
    .describe("of both, once more, of where prompts point to on SAM's map before the decoder; helps a new model, which has no map yet"),
  iou: weight.default(0).describe("of the squared error of masks' scores; 0 leaves the head that tells them as it is, as published"),
});

const evaluation = z.strictObject({
  data: z.array(heldOut).min(1).optional().describe('samples that are not trained on, each looked at once; none: no evaluation'),
  every: positive.default(500).describe('steps from one evaluation to the next'),
  batches: positive.default(100).describe('batches that are looked at, from the first on'),
  metric: z.enum(['loss', 'giou', 'ciou']).default('loss').describe('by which a snapshot is the best: lowest loss, or highest IoU'),
});

const snapshots = z.strictObject({
  every: positive.default(500).describe('steps from one snapshot to the next'),
  keepLast: z.int().min(2).default(2).describe('newest snapshots that are kept; the best by evaluation is kept besides'),
});

const pretraining = z.strictObject({
  data: z.array(dataset).min(1).optional().describe('as above; default the data of the run. Samples without masks are passed over'),
  steps: positive.default(1000).describe('updates of the parameters'),
  batchSize: positive.default(8).describe('pictures of an update'),
  prompts: z
    .strictObject({
      pictures: z
        .int()
        .nonnegative()
        .optional()
        .describe('of a batch, in which masks are asked for; the others are seen by CLIP alone, for words; default all'),
      points: z.int().nonnegative().default(2).describe('each for the masks it may mean: whole, part and sub-part'),
      boxes: z.int().nonnegative().default(2).describe('drawn as by hand'),
      phrases: z.int().nonnegative().default(4).describe('words and patches, as a [SEG] will bring them'),
    })
    .prefault({})
    .describe('masks that are asked for in each picture'),
  trainable: z
    .union([z.literal('full'), z.array(pattern.min(1)).min(1)])
    .default('full')
    .describe('what is trained: all, or regular expressions for keys of parameters'),
  optimizer: optimizer.prefault({}).describe('AdamW and its rates'),
  loss: loss.prefault({}).describe('what the losses are multiplied by; ce is of the words of patches and places'),
  snapshots: snapshots.prefault({}).describe('from which it goes on'),
});

const schema = z.strictObject({
  model: model.describe('what is trained'),
  data: z.array(dataset).min(1).describe('files of samples, scenes, and sets in formats of their own, drawn from by weight'),
  output: path.describe('folder of this run: snapshots, logs, adapter; relative to this file'),
  steps: positive.default(5000).describe('updates of the parameters'),
  batchSize: positive.default(2).describe('samples that go through the model together'),
  accumulation: positive.default(10).describe('batches whose gradients are added up for an update'),
  trainable: z
    .union([z.enum(names<keyof typeof trainableSets>(trainableSets)), z.array(pattern.min(1)).min(1)])
    .default('mglmm')
    .describe('what is trained: a published choice (mglmm, lisa, glamm), lora, full, or regular expressions for keys of parameters'),
  lora: lora.nullable().prefault({}).describe('low-rank updates beside frozen weights; null: none'),
  optimizer: optimizer.prefault({}).describe('AdamW and its rates'),
  loss: loss.prefault({}).describe('what the losses are multiplied by'),
  maxLength: positive.default(1536).describe('tokens of a sample, the image among them; what is longer is cut'),
  recompute: z.boolean().default(true).describe('keep only the input of a layer for its gradient and run the layer again there'),
  cacheGigabytes: weight.default(1).describe('features of images that are kept, of encoders that are not trained'),
  onBadSample: z
    .enum(['skip', 'fail'])
    .default('fail')
    .describe('a sample that cannot be read or trained on: count it and take another, or stop'),
  seed: seed.default(42).describe('of the order of samples, of dropout, and of new parameters'),
  workers: positive.default(1).describe('threads that decode images ahead'),
  device: z
    .union([z.enum(['auto', 'cpu', 'cuda']), z.templateLiteral(['cuda:', z.int()])], { error: 'expected auto, cpu, cuda or cuda:1' })
    .default('auto')
    .describe('that computes: cpu, cuda, cuda:1 ...; auto is a GPU where one can be used'),
  evaluation: evaluation.prefault({}).describe('looking at samples that are not trained on'),
  snapshots: snapshots.prefault({}).describe('from which a run goes on'),
  pretraining: pretraining.optional().describe('of a new model: its vision learns masks and their words before all of it is trained'),
});

export type TrainConfig = z.infer<typeof schema>;
/** What samples come from: one of `sources`. */
export type DataConfig = z.infer<typeof heldOut>;
const sources = ['path', 'scenes', 'mgsc', 'cocoPanoptic'] as const;

/** Parts that may change when a run goes on: they do not decide what a step does; another device rounds otherwise. */
const free = ['output', 'evaluation', 'snapshots', 'cacheGigabytes', 'workers', 'onBadSample', 'device'];

/**
 * @param from - the folder that paths are relative to.
 * @throws TrainingError that says of each field what was expected, and of an unknown one which is meant.
 */
export function parseConfig(value: unknown, from = '.'): TrainConfig {
  const { data, error } = schema.safeParse(value ?? {});
  if (error) throw new TrainingError(`config: ${error.issues.map((issue) => sentenceOf(issue)).join('; ')}`, { cause: error });
  if ((data.model.path === undefined) === (data.model.sizes === undefined))
    throw new TrainingError('config: model has path and sizes or neither, expected one of them');
  for (const [field, list] of [
    ['data', data.data],
    ['pretraining.data', data.pretraining?.data ?? []],
    ['evaluation.data', data.evaluation.data ?? []],
  ] as const) {
    for (const [i, one] of list.entries()) {
      const named = sources.filter((source) => one[source] !== undefined);
      if (named.length !== 1)
        throw new TrainingError(`config: ${field}.${i} has ${named.join(' and ') || 'no data'}, expected one of ${sources.join(', ')}`);
    }
  }
  const absolute = (one: string | undefined) => (one === undefined ? undefined : resolve(from, one));
  const files = <One extends DataConfig>(list: readonly One[]) => list.map((one) => ({ ...one, ...foundFrom(from, one) }));
  const { path: folder, clip, sam, tokenizer } = data.model;
  return {
    ...data,
    model: { ...data.model, path: absolute(folder), clip: absolute(clip), sam: absolute(sam), tokenizer: absolute(tokenizer) },
    data: files(data.data),
    pretraining: data.pretraining && { ...data.pretraining, data: data.pretraining.data && files(data.pretraining.data) },
    output: resolve(from, data.output),
    evaluation: { ...data.evaluation, data: data.evaluation.data && files(data.evaluation.data) },
  };
}

/** The paths of `data` as they are seen from `folder`. */
function foundFrom(folder: string, { path: file, mgsc: sets, cocoPanoptic: coco }: DataConfig): DataConfig {
  const all = <Paths extends object>(paths: Paths) =>
    Object.fromEntries(Object.entries(paths).map(([name, one]) => [name, resolve(folder, one as string)])) as Paths;
  return given({ path: file && resolve(folder, file), mgsc: sets && all(sets), cocoPanoptic: coco && all(coco) });
}

/** @throws TrainingError for a file that is not there, is no YAML, or does not fit. */
export async function readConfig(file: string): Promise<TrainConfig> {
  const text = await readFile(file, 'utf8').catch((cause: Error) => {
    throw new TrainingError(`config: ${file} cannot be read: ${cause.message}`, { cause });
  });
  const { parseDocument } = await import('yaml'); // here: whoever does not train does not wait for it
  const document = parseDocument(text);
  const [wrong] = document.errors;
  if (wrong) throw new TrainingError(`config: ${file} is no YAML: ${wrong.message}`, { cause: wrong });
  return parseConfig(document.toJS({ maxAliasCount: 100 }), dirname(file));
}

function isPattern(text: string): boolean {
  try {
    return new RegExp(text) !== undefined;
  } catch {
    return false;
  }
}

function sentenceOf(issue: z.core.$ZodIssue): string {
  const at = issue.path.join('.');
  if (issue.code !== 'unrecognized_keys') return `${at || 'the file'}: ${issue.message}`;
  const known = configFields().map(({ name }) => name);
  const within = at === '' ? '' : `${at.replace(/\.\d+(?=\.|$)/g, '')}.`;
  const siblings = known
    .filter((name) => name.startsWith(within))
    .map((name) => name.slice(within.length))
    .filter((name) => !name.includes('.'));
  const said = issue.keys.map((key) => {
    const near = closest(key, siblings) ?? known.find((name) => name.endsWith(`.${key}`));
    return `${at === '' ? '' : `${at}.`}${key} is unknown${near ? `, is ${near} meant?` : `; there are ${siblings.join(', ')}`}`;
  });
  return said.join('; ');
}

export interface ConfigField {
  /** Such as `optimizer.lr`. */
  readonly name: string;
  readonly description: string;
  /** As in YAML, where there is one. */
  readonly fallback?: string;
}

/** Every field with what it is: what `mglmm train --fields` prints. */
export function configFields(): ConfigField[] {
  const json = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  return fieldsOf(json, '');
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly description?: string;
  readonly default?: unknown;
}

function fieldsOf({ properties = {} }: JsonSchema, prefix: string): ConfigField[] {
  return Object.entries(properties).flatMap(([key, field]) => {
    const name = prefix + key;
    const inner = [field, ...(field.anyOf ?? []), ...(field.items ? [field.items] : [])].find((one) => one.properties);
    const fallback = field.default === undefined || inner ? undefined : JSON.stringify(field.default);
    return [{ name, description: field.description ?? '', fallback }, ...(inner ? fieldsOf(inner, `${name}.`) : [])];
  });
}

/** A constant rate was the same so far, however many steps are to come. */
function decisiveSteps<Part extends { readonly steps: number; readonly optimizer: Rates }>(part: Part) {
  const { steps, optimizer: rates, ...others } = part;
  if (rates.schedule !== 'constant') return part;
  const { cooldownSteps: _, minLr: __, ...kept } = rates;
  return { ...others, optimizer: kept };
}

/** What decides the steps of a run, as plain JSON. */
export function decisivePart(config: TrainConfig): Record<string, unknown> {
  const { pretraining, ...rest } = config;
  const begun = pretraining && { ...decisiveSteps(pretraining), snapshots: undefined };
  const decisive = Object.entries({ ...decisiveSteps(rest), pretraining: begun }).filter(([key]) => !free.includes(key));
  return JSON.parse(JSON.stringify(Object.fromEntries(decisive))) as Record<string, unknown>;
}

/** What of {@link decisivePart} decides pretraining: what comes after it may be another. */
export function decisiveOfPretraining(decisive: unknown): Record<string, unknown> {
  const { model, seed, data, pretraining } = (decisive ?? {}) as Record<string, unknown>;
  return { model, seed, pretraining, ...((pretraining as Record<string, unknown> | undefined)?.data ? {} : { data }) };
}

/** Names of the fields in which two of {@link decisivePart} differ. */
export function differingFields(a: unknown, b: unknown, prefix = ''): string[] {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isObject(a) || !isObject(b)) return JSON.stringify(a) === JSON.stringify(b) ? [] : [prefix];
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) =>
    differingFields(a[key], b[key], prefix ? `${prefix}.${key}` : key),
  );
}

/** What decides the steps of a run, and the folder that it writes into. */
interface RunSettings {
  readonly config: unknown;
  readonly output?: string;
}

/**
 * As {@link differingFields}, of a run that goes on. Where a folder was moved with all that is in it, paths are others, but seen from
 * `output` they are the same.
 */
export function differingSettings(begun: RunSettings, now: RunSettings): string[] {
  // Older snapshots name those of pretraining, which decide nothing.
  const differing = (a: unknown, b: unknown) => differingFields(a, b).filter((field) => !field.startsWith('pretraining.snapshots'));
  const fields = differing(begun.config, now.config);
  if (begun.output === undefined || now.output === undefined) return fields;
  return differing(seenFrom(begun.output, begun.config), seenFrom(now.output, now.config)).length === 0 ? [] : fields;
}

const seenFrom = (folder: string, config: unknown): unknown =>
  JSON.parse(JSON.stringify(config), (_, value: unknown) =>
    typeof value === 'string' && isAbsolute(value) ? relative(folder, value) : value,
  );
