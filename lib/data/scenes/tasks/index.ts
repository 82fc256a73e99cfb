/** The tasks that a scene gives samples of: those of the paper's Table 1 (MGLMM, arXiv 2409.13407), generic segmentation in its three kinds. */
import { caption, everything, gcg, mgsc } from './captions';
import { details, looks, numbers, places } from './facts';
import { conversation } from './questions';
import { empty, instance, multiple, panoptic, reason, refer, semantic } from './segmentation';
import type { Task } from './task';

const published = { caption, conversation, refer, semantic, instance, panoptic, multiple, empty, reason, gcg, mgsc } satisfies Record<
  string,
  Task
>;

export const tasks = { ...published, everything, looks, numbers, places, details };

export type TaskName = keyof typeof tasks;

/** Those that are asked of a model: `everything` is for its vision, `details`, `looks`, `numbers` and `places` for its language to look. */
export const taskNames = Object.keys(published) as readonly TaskName[];

/** Those whose questions say what is looked for, by name or by use: an answer without phrases, `Sure, [SEG].`, still says which mask it is. */
export const namingTasks: ReadonlySet<TaskName> = new Set<TaskName>(['refer', 'semantic', 'instance', 'multiple', 'empty', 'reason']);
