/** A line of a file of samples, as JSON has it, and the sample that it is: docs/data.md. */
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { z } from 'zod';
import { ArgumentError, type SampleFault } from '../errors';
import { type MaskPolygon, type Ring, rleFromPolygons } from '../image/polygons';
import { type Rle, rleFromRuns } from '../image/rle';
import { faultsOf, type Sample } from './sample';
import { sceneSizes, splitNames } from './scenes/key';

const text = z.string('expected a string').min(1, 'expected some text');
const list = (what: string) => z.custom<readonly unknown[]>(Array.isArray, `expected ${what}`);
const side = z.int('expected a whole number of pixels').min(1, 'expected at least one pixel');

const maskRecord = z
  .strictObject(
    {
      size: z.tuple([side, side], 'expected [height, width]'),
      counts: z
        .custom<string | readonly number[]>(
          (value) => typeof value === 'string' || Array.isArray(value),
          'expected a string or a list of runs',
        )
        .optional(),
      polygons: list('a list of polygons').optional(),
    },
    'expected a mask: size, and counts or polygons',
  )
  .refine(({ counts, polygons }) => (counts === undefined) !== (polygons === undefined), 'expected either counts or polygons');

const whole = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);
/** What a picture is drawn from. */
const sceneRecord = z.strictObject({
  scene: z.strictObject({ seed: whole, split: z.enum(splitNames), index: whole, size: z.int().min(sceneSizes[0]).max(sceneSizes[1]) }),
});

const record = z.strictObject(
  {
    id: text,
    image: z.union([text, sceneRecord], 'expected a path, or a scene').optional(),
    conversation: z
      .array(z.strictObject({ question: text, answer: text }, 'expected a question and an answer'), 'expected a list of turns')
      .min(1, 'expected at least one turn'),
    masks: z.array(maskRecord, 'expected a list of masks').default([]),
    task: text,
    /** Whatever else one wants to keep. */
    meta: z.unknown().optional(),
  },
  'expected a JSON object',
);

type MaskRecord = z.infer<typeof maskRecord>;

/** Masks made of polygons or runs before other JavaScript may run. */
const masksATurn = 4;
/** Pixels; polygons may leave the picture, but corners beyond this are a mistake. */
const farthest = 1e6;

/**
 * @param value - what the line says.
 * @param folder - where paths of pictures start.
 * @returns the sample, or what is wrong with it. Whether masks given as strings are whole is seen when they are decoded.
 */
export async function readRecord(
  value: unknown,
  folder: string,
): Promise<{ sample: Sample } | { faults: [SampleFault, ...SampleFault[]] }> {
  const parsed = record.safeParse(value);
  if (!parsed.success) return { faults: parsed.error.issues.flatMap((issue) => faultsOfIssue(value, issue)) as [SampleFault] };
  const { id, image, conversation, task } = parsed.data;
  const masks: Rle[] = [];
  const faults: SampleFault[] = [];
  for (const [i, mask] of parsed.data.masks.entries()) {
    if (i % masksATurn === masksATurn - 1 && typeof mask.counts !== 'string') await new Promise(setImmediate);
    try {
      masks.push(rleOf(mask));
    } catch (error) {
      if (!(error instanceof ArgumentError)) throw error;
      faults.push({ problem: 'rle', field: `masks[${i}]`, reason: error.message });
      masks.push({ size: mask.size, counts: '' }); // so that the others are counted and compared all the same
    }
  }
  const sample: Sample = {
    id,
    ...(image === undefined ? {} : { image: typeof image === 'string' && !isAbsolute(image) ? join(folder, image) : image }),
    conversation,
    masks,
    task,
  };
  faults.push(...faultsOf(sample));
  return faults.length > 0 ? { faults: faults as [SampleFault] } : { sample };
}

/** The line of a sample in the file `path`: pictures are named from where that lies. */
export function writeRecord({ id, image, conversation, masks, task }: Sample, path: string): string {
  return JSON.stringify({
    id,
    ...(image === undefined ? {} : { image: typeof image === 'string' ? seenFrom(path, image) : image }),
    conversation: conversation.map(({ question, answer }) => ({ question, answer })),
    masks: masks.map(({ size, counts }) => ({ size, counts })),
    task,
  });
}

/** The path of a picture from the folder of the file `path`. */
const seenFrom = (path: string, image: string) =>
  relative(resolve(dirname(path)), resolve(image))
    .split(sep)
    .join('/');

function rleOf({ size, counts, polygons }: MaskRecord): Rle {
  if (typeof counts === 'string') return { size, counts };
  if (counts) return rleFromRuns(counts, size);
  const rings = polygons as readonly (Ring | MaskPolygon)[];
  for (const [i, polygon] of rings.entries()) {
    const all = Array.isArray(polygon)
      ? polygon
      : [...listOf((polygon as MaskPolygon)?.outer), ...listOf((polygon as MaskPolygon)?.holes).flat()];
    const far = all.find((value: unknown) => typeof value === 'number' && Math.abs(value) > farthest);
    if (far !== undefined) throw new ArgumentError(`polygons[${i}] has a corner at ${far}, expected pixels within ${farthest}`);
  }
  return rleFromPolygons(rings, size);
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

function faultsOfIssue(value: unknown, issue: z.core.$ZodIssue): SampleFault[] {
  const field = fieldOf(issue.path);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ problem: 'record', field: fieldOf([...issue.path, key]), reason: 'is no field that is known here' }));
  const got = issue.path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], value);
  return [{ problem: 'record', field, reason: `is ${shown(got)}, ${issue.message}` }];
}

const fieldOf = (path: readonly PropertyKey[]) =>
  path.map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`)).join('');

function shown(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return `{${Object.keys(value).slice(0, 4).join(', ')}}`;
  const json = JSON.stringify(value);
  return json.length > 40 ? `${json.slice(0, 40)}…` : json;
}
