/** Questions as MGLMM was trained on them, word for word: of a whole scene, of what is in it, of all there is. */

const withMasks = 'Please respond with interleaved segmentation masks for the corresponding parts of the answer.';

/** For a description of the whole picture. */
export const sceneQuestion = `Please provide a detailed description of all the objects present in this image in a comprehensive format. ${withMasks}`;

/** For a description of one thing and its parts. */
export const partQuestion = (label: string) =>
  `Can you provide a detailed description in a comprehensive format for ${label} in the image. ${withMasks}`;

/** For everything with a name and a mask. */
export const panopticQuestion = 'Can you segment all the objects in the image?';
