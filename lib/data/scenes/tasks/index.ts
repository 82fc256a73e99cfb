/** The tasks that a scene gives samples of: those of the paper's Table 1 (MGLMM, arXiv 2409.13407), generic segmentation in its three kinds. */
import { caption, everything, gcg, mgsc } from './captions';
import { conversation } from './questions';
import { empty, instance, multiple, panoptic, reason, refer, semantic } from './segmentation';
import type { Task } from './task';

export const tasks = {
  caption,
  conversation,
  refer,
  semantic,
  instance,
  panoptic,
  multiple,
  empty,
  reason,
  gcg,
  mgsc,
  everything,
} satisfies Record<string, Task>;

export type TaskName = keyof typeof tasks;

export const taskNames = Object.keys(tasks) as readonly TaskName[];
