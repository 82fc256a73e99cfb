/**
 * The special tokens of MGLMM and its relatives, and the two constants of its input ids. Their ids are those of the tokenizer's
 * files: a model's vocabulary decides, never this list.
 */

/** Around the features of the image. */
export const imageStart = '<im_start>';
export const imageEnd = '<im_end>';
/** In the vocabulary, and nowhere in the model. */
export const boxToken = '<bbox>';
export const pointToken = '<point>';
/** The state that predicts it is the prompt of a mask. */
export const segToken = '[SEG]';
/** Around a phrase that has a mask. */
export const phraseStart = '<p>';
export const phraseEnd = '</p>';

/** What is added to the 32000 pieces of LLaMA, in this order, when a model is made from a language model (GLaMM's order). */
export const addedTokens = [imageStart, imageEnd, boxToken, pointToken, segToken, phraseStart, phraseEnd] as const;

/** Where the image stands in a prompt's text. It is no piece: the text is split there. */
export const imagePlaceholder = '<image>';
/** Where the image stands among a prompt's ids; its features are spliced in. Never embedded. */
export const imageId = -200;
/** The label of a position that has no loss. */
export const ignoreLabel = -100;
